import type { Kernel, RunContext } from '../../kernel/index.ts'

/**
 * Adds a member to run contexts that is created when a handler first reads it, because most handlers use only a few
 * members. The accessor is defined once on the prototype, which belongs to one kernel, so only the first job pays for
 * it, and the hook that defines it then removes itself. The created member is then stored on the context itself.
 */
export function addLazyMember<Name extends keyof RunContext>(
  kernel: Kernel,
  name: Name,
  create: (ctx: RunContext) => RunContext[Name],
): void {
  const remove = kernel.hook(
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
      remove()
      return next()
    },
    { when: (ctx) => !(name in ctx) },
  )
}
