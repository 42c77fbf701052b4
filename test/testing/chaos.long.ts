// Runs a flow 250 times with each of two seeds; `npm test` runs smaller scenarios a few times with one.
import assert from 'node:assert/strict'
import { expect, it } from 'vitest'
import { chaos, type ChaosTest } from 'nuxt-queue/testing'

/** Pays, starts a flow, waits for the delivery, and sends a receipt. */
const shop: ChaosTest = (world) => ({
  workers: {
    order: {
      config: {
        attempts: 8,
        backoff: 1000,
        concurrencyGroup: 'orders',
        concurrencyPerKey: 1,
        flow: { name: 'shop', role: 'entry' },
      },
      handler: async (job, ctx) => {
        await ctx.step.run('charge', () => world.effect('charge', job.data, { key: ctx.job.id }))
        await ctx.state.set('paid', true)
        for (const parcel of [1, 2]) await ctx.flow.emit('parcel', parcel)
      },
    },
    parcel: {
      config: { attempts: 8, flow: { name: 'shop', role: 'step', subscribes: 'parcel' } },
      handler: async (job, ctx) => {
        await ctx.step.sleep('on its way', 3_600_000)
        await ctx.flow.emit('delivered', job.data)
      },
    },
    receipt: {
      config: { attempts: 8, flow: { name: 'shop', role: 'step', subscribes: 'delivered', gather: 'parcel' } },
      handler: async (_job, ctx) => {
        const rated = await ctx.step.waitForEvent('rating', { event: 'rated', key: ctx.runId, timeout: 86_400_000 })
        await ctx.step.run('receipt', () => world.effect('receipt', rated, { key: ctx.runId }))
      },
    },
  },
  async start(kernel) {
    const { runId } = await kernel.flow('shop').start(7)
    await world.sleep('3h')
    await kernel.sendEvent('rated', 5, { key: runId })
  },
  check({ effects, runs }) {
    assert.deepEqual(
      effects.map(({ name, data }) => [name, data]),
      [
        ['charge', 7],
        ['receipt', 5],
      ],
    )
    assert.equal(runs.length, 1)
  },
})

it.each([1, 2])('passes 250 runs of a flow with seed %i', async (seed) => {
  expect(await chaos(shop, { seed, runs: 250 })).toMatchObject({ runs: 250 })
})
