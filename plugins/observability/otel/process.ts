import type { Context } from '@opentelemetry/api'
import {
  isDeferral,
  type DispatchPayload,
  type Next,
  type PluginKernel,
  type RunContext,
} from '../../../kernel/index.ts'
import { aboutAttempt, aboutJob, errorTypeOf, failSpan, operationOn } from './attributes.ts'
import type { Tracing } from './tracing.ts'
import type { Instruments } from './instruments.ts'
import { traceSteps } from './steps.ts'

/**
 * Gives each attempt a span `process`, which is the active one in its handler. The headers that the handler sees contain its
 * context, for handlers in other processes.
 */
export function traceProcessing(kernel: PluginKernel, tracing: Tracing, instruments: Instruments | undefined) {
  const { api, tracer, options, isTraced } = tracing
  const { ROOT_CONTEXT, SpanKind, SpanStatusCode } = api
  const contexts = new WeakMap<RunContext, Context>()

  async function processed(dispatch: DispatchPayload, next: Next): Promise<void> {
    const { job, ctx, signal } = dispatch
    const sender = api.propagation.extract(ROOT_CONTEXT, { ...job.headers })
    const sent = api.trace.getSpanContext(sender)
    const linked = sent !== undefined && options.correlation === 'link'
    // Baggage stays, also where the trace is another one.
    const parent = linked ? api.trace.deleteSpan(sender) : sender
    const operation = operationOn(job.queue, 'process')
    const attributes = { ...operation, ...aboutJob(job), ...aboutAttempt(ctx) }
    const links = linked ? [{ context: sent }] : []
    const span = tracer.startSpan(`process ${job.queue}`, { kind: SpanKind.CONSUMER, attributes, links }, parent)
    const context = api.trace.setSpan(parent, span)
    contexts.set(ctx, context)
    const headers = { ...job.headers }
    api.propagation.inject(context, headers)
    Object.assign(job, { headers })
    if (options.steps) traceSteps(ctx, tracing, context)

    const began = performance.now()
    let ended = false
    const end = (error?: unknown): void => {
      if (ended) return
      ended = true
      signal.removeEventListener('abort', onAbort)
      if (error !== undefined) failSpan(span, error, SpanStatusCode.ERROR)
      span.end()
      const failure = error === undefined ? {} : { 'error.type': errorTypeOf(error) }
      const wait = Math.max(0, ctx.startedAt - ctx.dueAt) / 1000
      instruments?.processed({ ...operation, ...failure }, (performance.now() - began) / 1000, wait)
      if (error !== undefined && job.attempt < job.attempts) instruments?.retried(operation)
    }
    // The attempt ends with its abort, even if its handler never does.
    const onAbort = (): void => end(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      await api.context.with(context, next)
      if (isDeferral(dispatch.result)) span.setAttribute('messaging.nuxt_queue.deferred', true)
      end()
    } catch (error) {
      end(error)
      throw error
    }
  }

  kernel.hook('dispatch', processed, { when: ({ job }) => isTraced(job) })
  return (ctx: RunContext): Context | undefined => contexts.get(ctx)
}
