import type { Kernel } from 'nuxt-queue'

/** How each run of the flow ends, undisturbed or not. */
export const ORDER_RESULT = 'shipped 3 with label'
export const ORDER_STATE = { reserved: 7, checked: 12, paid: 42, label: 'label' }

const config = { queue: 'order', concurrency: 8, attempts: 10, backoff: 20 }
const step = (subscribes: string | string[], emits: string[], more: object = {}) => ({
  ...config,
  flow: { name: 'order', role: 'step' as const, subscribes, emits, ...more },
})

/** A flow of seven steps that wait for times, an event, each other and a run of another flow. */
export async function registerOrders(kernel: Kernel): Promise<void> {
  await kernel.registerWorker({
    id: 'order/place',
    config: { ...config, flow: { name: 'order', role: 'entry', emits: ['placed'] } },
    handler: (_job, ctx) => ctx.flow.emit('placed'),
  })
  await kernel.registerWorker({
    id: 'order/reserve',
    config: { ...step('placed', ['reserved']), awaitBefore: { type: 'time', delay: 50 } },
    async handler({ runId }, ctx) {
      await ctx.state.set('reserved', 7)
      await kernel.sendEvent('paid', 42, { id: runId, key: runId })
      await ctx.flow.emit('reserved')
    },
  })
  await kernel.registerWorker({
    id: 'order/check',
    config: step('placed', ['checked']),
    async handler(_job, ctx) {
      const five = await ctx.step.run('five', () => 5)
      await ctx.step.sleep('rest', 40)
      const seven = await ctx.step.run('seven', () => 7)
      await ctx.state.set('checked', five + seven)
      await ctx.flow.emit('checked')
    },
  })
  await kernel.registerWorker({
    id: 'order/pay',
    config: {
      ...step(['reserved', 'checked'], ['item']),
      awaitBefore: { type: 'event', event: 'paid', match: ({ runId }) => runId },
    },
    async handler(_job, ctx) {
      await ctx.state.set('paid', ctx.awaited?.payload)
      for (const item of [1, 2, 3]) await ctx.flow.emit('item', item)
    },
  })
  await kernel.registerWorker({
    id: 'order/pack',
    config: { ...step('item', ['packed']), awaitAfter: { type: 'time', delay: 20 } },
    handler: ({ data }, ctx) => ctx.flow.emit('packed', data),
  })
  await kernel.registerWorker({
    id: 'order/ship',
    config: step('packed', ['shipped'], { gather: 'item' }),
    async handler({ data }, ctx) {
      const label = String(await ctx.flow.start('label', undefined, { wait: true }))
      await ctx.state.set('label', label)
      await ctx.flow.emit('shipped', `shipped ${(data as { packed: number[] }).packed.length} with ${label}`)
    },
  })
  await kernel.registerWorker({ id: 'order/notify', config: step('shipped', []), handler: ({ data }) => data })
  await kernel.registerWorker({
    id: 'label',
    config: { ...config, flow: { name: 'label', role: 'entry' } },
    handler: () => 'label',
  })
}
