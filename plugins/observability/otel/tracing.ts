import type { Context } from '@opentelemetry/api'
import { z } from 'zod'
import type { Job } from '../../../kernel/index.ts'

export const tracingOptions = z.strictObject({
  /**
   * How the span of an attempt is connected to the span that sent its job. `link`: it begins a separate trace and has a link. `parent`: it
   * continues the trace. Default `link`.
   */
  correlation: z.enum(['link', 'parent']).default('link'),
  /** Whether each job of `enqueueMany` has a span `create` below the span `send` of the call. Default false. */
  createSpans: z.boolean().default(false),
  /** Whether sub-steps of handlers in this process have spans. Default true. */
  steps: z.boolean().default(true),
  /**
   * Whether storing the end of an attempt in the log has a span `settle`. The acknowledgement in the queue, which follows, is often merged
   * with other acknowledgements and has no span. Default false.
   */
  settle: z.boolean().default(false),
  /** Whether jobs of plugins, such as the ticks of schedules, are traced. Default false. */
  internal: z.boolean().default(false),
  /** Whether counts and durations are recorded with the global meter. Default true. */
  metrics: z.boolean().default(true),
})

/** The values that all parts of the plugin share. */
export interface Tracing {
  api: typeof import('@opentelemetry/api')
  tracer: import('@opentelemetry/api').Tracer
  options: OtelOptions
  /** Whether the jobs of a queue are traced. */
  isTraced(job: Pick<Job, 'queue'>): boolean
}

/** Writes a context into headers. It is active meanwhile, because some propagators, such as that of Sentry, write only the active context. */
export function injectInto(headers: Record<string, string>, { api }: Tracing, context: Context): void {
  api.context.with(context, () => api.propagation.inject(api.context.active(), headers))
}

export type OtelOptions = z.output<typeof tracingOptions>
