import { definePlugin, type AnyPlugin } from '../../kernel/index.ts'

/** Fails at the n-th call of a hook, before or after the inner handlers, like a process that dies there. */
export function dyingAt(
  hook: 'emit' | 'enqueue',
  passage: number,
  when: 'before' | 'after',
): { plugin: AnyPlugin; passages: () => number } {
  let passages = 0
  const plugin = definePlugin({
    name: 'dies',
    enforce: 'post',
    setup(kernel) {
      kernel.hook(hook, async (_payload: unknown, next: () => unknown) => {
        const dies = ++passages === passage
        if (dies && when === 'before') throw new Error('died here')
        await next()
        if (dies) throw new Error('died here')
      })
    },
  })
  return { plugin, passages: () => passages }
}
