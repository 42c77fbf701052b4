import type { Context } from '@opentelemetry/api'
import type { EmitPayload, Next, PluginKernel, RunContext } from '../../../kernel/index.ts'
import { aboutJob, failSpan, operationOn } from './attributes.ts'
import type { Tracing } from './tracing.ts'

/** The last event of an attempt. */
const ENDS: ReadonlySet<string | undefined> = new Set(['step.completed', 'step.failed', 'step.retry', 'step.deferred'])

/** Gives the storage of the end of each attempt a span `settle`, a child of the span of the attempt. */
export function traceSettling(
  kernel: PluginKernel,
  { api, tracer }: Tracing,
  contextOf: (ctx: RunContext) => Context | undefined,
): void {
  const { SpanKind, SpanStatusCode } = api

  async function settle({ ctx, events }: EmitPayload, next: Next): Promise<void> {
    const { job } = ctx!
    const outcome = events.at(-1)!.type.slice('step.'.length)
    const attributes = {
      ...operationOn(job.queue, 'settle'),
      ...aboutJob(job),
      'messaging.nuxt_queue.outcome': outcome,
    }
    const span = tracer.startSpan(`settle ${job.queue}`, { kind: SpanKind.CLIENT, attributes }, contextOf(ctx!))
    try {
      await next()
    } catch (error) {
      failSpan(span, error, SpanStatusCode.ERROR)
      throw error
    } finally {
      span.end()
    }
  }

  kernel.hook('emit', settle, {
    when: ({ ctx, events }) => ctx !== undefined && ENDS.has(events.at(-1)?.type) && contextOf(ctx) !== undefined,
  })
}
