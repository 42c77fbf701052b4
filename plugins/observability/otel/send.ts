import type { Context, Span } from '@opentelemetry/api'
import type { EnqueuePayload, Next, PluginKernel } from '../../../kernel/index.ts'
import { aboutJob, aboutSending, errorTypeOf, failSpan, keepOperations, operationOn } from './attributes.ts'
import { injectInto, type Tracing } from './tracing.ts'
import type { Instruments } from './instruments.ts'

/** The queue of events that are being delivered to waits and triggers. */
const BUS = '_bus'

/** The span of a call. The jobs of `enqueueMany` for one queue share it. */
interface Sending {
  span: Span
  context: Context
  began: number
  jobs: number
  /** How many jobs have not been stored yet. */
  open: number
  error: unknown
}

/** Gives each call of `enqueue` a span `send`, and adds the context of the span to the headers of the jobs. */
export function traceSending(kernel: PluginKernel, tracing: Tracing, instruments: Instruments | undefined): void {
  const { api, tracer, options, isTraced } = tracing
  const { SpanKind, SpanStatusCode } = api
  /** The calls of `enqueueMany` that begin in this turn of the event loop, by queue. */
  const gathering = new Map<string, Sending>()
  const sendingOn = keepOperations('send')

  function begin({ job, batch }: EnqueuePayload): Sending {
    const parent = parentOf(job)
    const attributes = batch ? operationOn(job.queue, 'send') : aboutSending(job)
    const span = tracer.startSpan(`send ${job.queue}`, { kind: SpanKind.PRODUCER, attributes }, parent)
    return {
      span,
      context: api.trace.setSpan(parent, span),
      began: performance.now(),
      jobs: 0,
      open: 0,
      error: undefined,
    }
  }

  /**
   * Returns the context of the caller. The headers of a step contain the context of the previous step, while the flow engine may run in any
   * context. Headers also take precedence if they name a trace and the caller has no trace or a different one.
   */
  function parentOf({ headers, flow }: EnqueuePayload['job']): Context {
    const active = api.context.active()
    const carried = api.propagation.extract(api.trace.deleteSpan(active), { ...headers })
    const [own, theirs] = [api.trace.getSpanContext(active), api.trace.getSpanContext(carried)]
    const isOwn = theirs === undefined || (own?.traceId === theirs.traceId && flow?.cause === undefined)
    return isOwn ? active : carried
  }

  function sendingOf(payload: EnqueuePayload): Sending {
    if (!payload.batch) return begin(payload)
    const { queue } = payload.job
    const there = gathering.get(queue)
    if (there) return there
    const sending = begin(payload)
    if (gathering.size === 0) queueMicrotask(() => gathering.clear())
    gathering.set(queue, sending)
    return sending
  }

  function createSpan({ job }: EnqueuePayload, { context }: Sending): Context {
    const attributes = { ...operationOn(job.queue, 'create'), ...aboutJob(job) }
    const span = tracer.startSpan(`create ${job.queue}`, { kind: SpanKind.PRODUCER, attributes }, context)
    span.end()
    return api.trace.setSpan(context, span)
  }

  function end(payload: EnqueuePayload, sending: Sending): void {
    const { span, error, jobs, began } = sending
    const { batch, job, result } = payload
    if (--sending.open > 0) return
    if (batch) span.setAttribute('messaging.batch.message_count', jobs)
    else if (result)
      span.setAttributes({ 'messaging.message.id': result.id, 'messaging.message.conversation_id': result.runId })
    if (error !== undefined) failSpan(span, error, SpanStatusCode.ERROR)
    span.end()
    if (!instruments) return
    const operation = sendingOn(job.queue)
    const counted = error === undefined ? operation : { ...operation, 'error.type': errorTypeOf(error) }
    instruments.sent(counted, (performance.now() - began) / 1000, jobs)
  }

  // An event of the bus has a span only with `internal`. Otherwise its headers contain the context of its sender.
  kernel.hook(
    'enqueue',
    ({ job }, next) => {
      const headers = { ...job.headers }
      api.propagation.inject(api.context.active(), headers)
      job.headers = headers
      return next()
    },
    { when: ({ job }) => job.queue === BUS && !isTraced(job) && api.trace.getSpan(api.context.active()) !== undefined },
  )
  kernel.hook(
    'enqueue',
    async (payload: EnqueuePayload, next: Next) => {
      const sending = sendingOf(payload)
      sending.jobs++
      sending.open++
      const { job, batch } = payload
      const context = batch && options.createSpans ? createSpan(payload, sending) : sending.context
      const headers = { ...job.headers }
      injectInto(headers, tracing, context)
      job.headers = headers
      try {
        await api.context.with(context, next)
      } catch (error) {
        sending.error = error
        throw error
      } finally {
        end(payload, sending)
      }
    },
    { when: ({ job }) => isTraced(job) },
  )
}
