import type { Context } from '@opentelemetry/api'
import {
  isDeferral,
  reviveError,
  type DispatchPayload,
  type EmitPayload,
  type Job,
  type Next,
  type PluginKernel,
  type RunContext,
  type SerializedError,
} from '../../../kernel/index.ts'
import { aboutAttempt, errorTypeOf, failSpan, keepOperations } from './attributes.ts'
import { injectInto, type Tracing } from './tracing.ts'
import type { Instruments } from './instruments.ts'
import { traceSteps } from './steps.ts'

/** A running attempt. */
interface Processing {
  context: Context
  /** Ends the span. Does nothing the second time. */
  end(error?: unknown): void
}

/**
 * The member of a context that holds its attempt. With a WeakMap, an entry for each job would cost a third of the time in garbage
 * collection.
 */
const PROCESSING = Symbol('nuxt-queue.otel')
type Traced = RunContext & { [PROCESSING]?: Processing }

const FAILED: ReadonlySet<string | undefined> = new Set(['step.failed', 'step.retry'])

/**
 * Gives each attempt a span `process`, which is active in its handler. The headers that the handler sees contain the context of the span,
 * for handlers in other processes.
 *
 * @param busy receives how many attempts run, by queue
 */
export function traceProcessing(
  kernel: PluginKernel,
  tracing: Tracing,
  instruments: Instruments | undefined,
  busy: Map<string, number>,
) {
  const { api, tracer, options, isTraced } = tracing
  const { ROOT_CONTEXT, SpanKind, SpanStatusCode } = api
  const operationOn = keepOperations('process')

  async function processed(dispatch: DispatchPayload, next: Next): Promise<void> {
    const { job, ctx } = dispatch
    const sender = api.propagation.extract(ROOT_CONTEXT, { ...job.headers })
    const sent = api.trace.getSpanContext(sender)
    const linked = sent !== undefined && options.correlation === 'link'
    // Baggage is kept, even if the attempt has a separate trace.
    const parent = linked ? api.trace.deleteSpan(sender) : sender
    const attributes = aboutAttempt(job, ctx)
    const links = linked ? [{ context: sent }] : []
    const span = tracer.startSpan(`process ${job.queue}`, { kind: SpanKind.CONSUMER, attributes, links }, parent)
    const context = api.trace.setSpan(parent, span)
    const headers = { ...job.headers }
    injectInto(headers, tracing, context)
    ;(job as { headers: Job['headers'] }).headers = headers

    const began = performance.now()
    busy.set(job.queue, (busy.get(job.queue) ?? 0) + 1)
    let ended = false
    const end = (error?: unknown): void => {
      if (ended) return
      ended = true
      if (error !== undefined) failSpan(span, error, SpanStatusCode.ERROR)
      span.end()
      if (!instruments) return
      const operation = operationOn(job.queue)
      const counted = error === undefined ? operation : { ...operation, 'error.type': errorTypeOf(error) }
      const wait = Math.max(0, ctx.startedAt - ctx.dueAt) / 1000
      instruments.processed(counted, (performance.now() - began) / 1000, wait)
      if (error !== undefined && job.attempt < job.attempts) instruments.retried(operation)
    }
    ;(ctx as Traced)[PROCESSING] = { context, end }
    try {
      await api.context.with(context, next)
      if (isDeferral(dispatch.result)) span.setAttribute('messaging.nuxt_queue.deferred', true)
      end()
    } catch (error) {
      end(error)
      throw error
    } finally {
      busy.set(job.queue, busy.get(job.queue)! - 1)
    }
  }

  /** After a timeout the attempt has ended, even if its handler never does. */
  function endFailed({ ctx, events, result }: EmitPayload): void {
    const { type, data } = events.at(-1)!
    const processing = (ctx as Traced)[PROCESSING]
    processing?.end(reviveError((data as { error: SerializedError }).error))
    const { queue, options: given } = ctx!.job
    const isLetter = type === 'step.failed' && given.deadLetter !== undefined
    // An end that another process has already stored is not stored again.
    if (processing && isLetter && result?.ok && result.events.length > 0) instruments?.buried(operationOn(queue))
  }

  /** Records which attempt begins to wait, because a moment or a timeout has no caller that ended the wait. */
  function recordWaiting({ ctx, events: [event] }: EmitPayload, next: Next) {
    const headers = {}
    injectInto(headers, tracing, api.trace.setSpan(ROOT_CONTEXT, spanOf(ctx!)!))
    event!.data = { ...(event!.data as object), headers }
    return next()
  }

  /** After a wait, links the attempt that continues to the span that ended the wait. */
  function linkCauses({ ctx, events }: EmitPayload): void {
    const span = spanOf(ctx!)
    for (const { data } of events) {
      for (const headers of (data as { causes?: readonly Record<string, string>[] }).causes ?? []) {
        const cause = api.trace.getSpanContext(api.propagation.extract(ROOT_CONTEXT, { ...headers }))
        if (cause) span?.addLink({ context: cause })
      }
    }
  }

  const contextOf = (ctx: RunContext): Context | undefined => (ctx as Traced)[PROCESSING]?.context
  const spanOf = (ctx: RunContext) => {
    const context = contextOf(ctx)
    return context && api.trace.getSpan(context)
  }
  kernel.hook('dispatch', processed, { when: ({ job }) => isTraced(job) })
  kernel.hook('emit', endFailed, {
    after: true,
    when: ({ ctx, events }) => ctx !== undefined && FAILED.has(events.at(-1)?.type),
  })
  kernel.hook('emit', recordWaiting, {
    when: ({ ctx, events }) => events[0]?.type === 'step.awaiting' && ctx !== undefined && contextOf(ctx) !== undefined,
  })
  kernel.hook('emit', linkCauses, {
    after: true,
    when: ({ ctx, events }) => ctx !== undefined && events[0]?.type === 'step.resumed',
  })
  if (options.steps) traceSteps(kernel, tracing, contextOf)
  return contextOf
}
