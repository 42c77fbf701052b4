import type { Context, Span } from '@opentelemetry/api'
import type { PluginKernel, RunContext } from '../../../kernel/index.ts'
import { failSpan, SYSTEM } from './attributes.ts'
import type { Tracing } from './tracing.ts'

/**
 * Gives each executed sub-step a span. A sub-step whose result is already recorded is not executed, so it has no span. A sub-step in
 * another process is recognized by its calls of `lookup` and `record`. The member `step` of contexts is wrapped on their prototype, where
 * it is defined, so jobs without sub-steps cost nothing.
 */
export function traceSteps(
  kernel: PluginKernel,
  tracing: Tracing,
  contextOf: (ctx: RunContext) => Context | undefined,
): void {
  let wrapped = false
  kernel.hook(
    'context',
    (ctx) => {
      wrapped = true
      const prototype = Object.getPrototypeOf(ctx) as object
      const lazy = Object.getOwnPropertyDescriptor(prototype, 'step')?.get
      if (!lazy) return
      Object.defineProperty(prototype, 'step', {
        configurable: true,
        get(this: RunContext) {
          const own = lazy.call(this) as RunContext['step']
          const parent = contextOf(this)
          const value = parent ? withSpans(own, tracing, parent) : own
          Object.defineProperty(this, 'step', { value, enumerable: true, configurable: true, writable: true })
          return value
        },
      })
    },
    { after: true, when: () => !wrapped },
  )
}

function withSpans(own: RunContext['step'], { api, tracer }: Tracing, parent: Context): RunContext['step'] {
  const { SpanStatusCode } = api
  const startSpan = (name: string, context: Context): Span =>
    tracer.startSpan(`step ${name}`, { attributes: { ...SYSTEM, 'messaging.nuxt_queue.sub_step': name } }, context)

  /** Returns the members that runtimes in other processes use. If a sub-step was looked up and not found, the other process executes it. */
  const remote = (): Pick<typeof own, 'lookup' | 'record' | 'fail'> => {
    const running = new Map<string, Span>()
    const end = (name: string, error?: unknown): void => {
      const span = running.get(name)
      running.delete(name)
      if (error !== undefined && span) failSpan(span, error, SpanStatusCode.ERROR)
      span?.end()
    }
    return {
      async lookup(name) {
        const known = await own.lookup(name)
        if (!known.found) running.set(name, startSpan(name, parent))
        return known
      },
      record(name, result) {
        end(name)
        return own.record(name, result)
      },
      fail(name, error) {
        end(name, error)
        return own.fail(name, error)
      },
    }
  }

  const run: typeof own.run = (name, fn, options) =>
    own.run(
      name,
      async (attempt) => {
        const active = api.trace.getSpan(api.context.active()) ? api.context.active() : parent
        const span = startSpan(name, active)
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
  return Object.assign(Object.create(own) as typeof own, { run, ...remote() })
}
