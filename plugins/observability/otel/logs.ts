import type { Context } from '@opentelemetry/api'
import type { PluginKernel, RunContext } from '../../../kernel/index.ts'
import type { Tracing } from './tracing.ts'

/** Adds `trace_id` and `span_id` to log entries, including entries of workers in other processes. */
export function traceLogs(
  kernel: PluginKernel,
  { api }: Tracing,
  contextOf: (ctx: RunContext) => Context | undefined,
): void {
  kernel.hook(
    'emit',
    ({ ctx, events }, next) => {
      const own = contextOf(ctx!)
      const active = api.trace.getSpanContext(api.context.active())
      const attempt = own && api.trace.getSpanContext(own)
      // Entries of other processes arrive outside the context of their job.
      const span = active?.traceId === attempt?.traceId ? active : attempt
      for (const event of events) {
        if (span && event.type === 'runner.log') {
          event.data = { ...(event.data as object), trace_id: span.traceId, span_id: span.spanId }
        }
      }
      return next()
    },
    { when: ({ ctx, events }) => ctx !== undefined && events[0]?.type === 'runner.log' },
  )
}
