import type { Kernel, RunContext } from '../../kernel/index.ts'

/**
 * Adds a member to run contexts that is made when it is first read: most handlers use few of them.
 * The accessor sits on the prototype, which belongs to one kernel, so that adding it costs the first
 * job only; the member itself then sits on the context.
 */
export function addLazyMember<Name extends keyof RunContext>(
  kernel: Kernel,
  name: Name,
  create: (ctx: RunContext) => RunContext[Name],
): void {
  kernel.hook(
    'context',
    (ctx, next) => {
      Object.defineProperty(Object.getPrototypeOf(ctx), name, {
        configurable: true,
        get(this: RunContext) {
          const value = create(this)
          Object.defineProperty(this, name, { value, enumerable: true, configurable: true, writable: true })
          return value
        },
      })
      return next()
    },
    { when: (ctx) => !(name in ctx) },
  )
}
