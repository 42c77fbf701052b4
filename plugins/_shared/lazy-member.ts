import type { RunContext } from '../../kernel/index.ts'

/**
 * Adds a member to a run context that is made when it is first read: most handlers use few of them.
 * The accessor sits on the prototype, which belongs to one kernel, so that adding it costs the first
 * job only; the member itself then sits on the context.
 */
export function lazyMember<Name extends keyof RunContext>(
  ctx: RunContext,
  name: Name,
  create: (ctx: RunContext) => RunContext[Name],
): void {
  if (name in ctx) return
  Object.defineProperty(Object.getPrototypeOf(ctx), name, {
    configurable: true,
    get(this: RunContext) {
      const value = create(this)
      Object.defineProperty(this, name, { value, enumerable: true, configurable: true, writable: true })
      return value
    },
  })
}
