import type { Context } from '@opentelemetry/api'
import type { RunContext } from '../../../kernel/index.ts'
import { failSpan, SYSTEM } from './attributes.ts'
import type { Tracing } from './tracing.ts'

/** Gives each sub-step that runs a span. A sub-step whose result is recorded already does not run, so it has none. */
export function traceSteps(ctx: RunContext, { api, tracer }: Tracing, parent: Context): void {
  const { SpanStatusCode } = api
  const own = ctx.step
  const run: typeof own.run = (name, fn, options) =>
    own.run(
      name,
      async (attempt) => {
        const active = api.trace.getSpan(api.context.active()) ? api.context.active() : parent
        const span = tracer.startSpan(
          `step ${name}`,
          { attributes: { ...SYSTEM, 'messaging.nuxt_queue.sub_step': name } },
          active,
        )
        try {
          return await api.context.with(api.trace.setSpan(active, span), () => fn(attempt))
        } catch (error) {
          failSpan(span, error, SpanStatusCode.ERROR)
          throw error
        } finally {
          span.end()
        }
      },
      options,
    )
  Object.defineProperty(ctx, 'step', {
    value: Object.create(own, { run: { value: run, enumerable: true } }) as typeof own,
    enumerable: true,
    configurable: true,
    writable: true,
  })
}
