import { expect, it } from 'vitest'
import { definePlugin } from '../../../kernel/index.ts'
import { createTestKernel } from '../../../testing/index.ts'

const workers = {
  fine: () => 'fine',
  broken: () => {
    throw new Error('broken')
  },
}

it('limits the number of ended runs and jobs of each outcome', async () => {
  await using test = await createTestKernel({
    workers,
    config: { retention: { completed: { count: 5 }, failed: { count: 2 }, sweepEvery: 1 } },
  })
  const { kernel } = test
  for (let index = 0; index < 12; index++) await kernel.enqueue(index % 3 === 0 ? 'broken' : 'fine', index)
  const waiting = await kernel.enqueue('fine', 'later', { delay: 1000 })
  await test.drain()
  const runs = await kernel.port('events').runs.list()
  const statuses = runs.map(({ status }) => status)
  expect(statuses.filter((status) => status === 'completed').length).toBeLessThanOrEqual(6)
  expect(statuses.filter((status) => status === 'failed').length).toBeLessThanOrEqual(3)
  const jobs = await kernel.port('queue').getJobs()
  expect(jobs.filter(({ state }) => state === 'completed').length).toBeLessThanOrEqual(6)
  expect(jobs.map(({ id }) => id)).toContain(waiting.id)
})

it('removes ended runs by age, with their events and keys, and keeps running runs', async () => {
  const never = new Promise(() => {})
  await using test = await createTestKernel({
    workers: { ...workers, stays: () => never },
    config: { retention: { completed: { age: 60_000 }, sweepInterval: 10_000 } },
  })
  const { kernel } = test
  const old = await kernel.enqueue('fine')
  const failed = await kernel.enqueue('broken')
  const open = await kernel.enqueue('stays')
  await test.advance('50s')
  expect(await test.events(old.runId)).toHaveLength(2)
  await test.advance('20s')
  expect(await test.events(old.runId)).toEqual([])
  expect(await kernel.port('queue').getJob('default', old.id)).toBeUndefined()
  expect(await test.events(failed.runId)).toHaveLength(2)
  expect(await test.events(open.runId)).toHaveLength(1)
})

it('sweeps one outcome after the other, even if the store is slow and sweeps are requested often', async () => {
  const gate = Promise.withResolvers<void>()
  const began: string[] = []
  let under = 0
  let most = 0
  const slow = definePlugin({
    name: 'slow',
    requires: ['queue-memory'],
    setup(kernel) {
      const queue = kernel.port('queue')
      const { clean } = queue
      queue.clean = async (policy) => {
        began.push(policy.outcome)
        most = Math.max(most, ++under)
        await gate.promise
        under--
        return clean(policy)
      }
    },
  })
  await using test = await createTestKernel({
    workers,
    plugins: [slow],
    config: { retention: { sweepEvery: 1, sweepInterval: 10 } },
  })
  for (let n = 0; n < 5; n++) await test.kernel.enqueue('fine', n)
  await test.drain()
  await test.advance('100ms')
  expect(began).toHaveLength(1)
  gate.resolve()
  await expect.poll(() => began.length).toBeGreaterThanOrEqual(3)
  expect(most).toBe(1)
})
