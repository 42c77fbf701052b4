import type { StoredEvent } from 'nuxt-queue'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startRedisCluster } from '../../services/redis.ts'
import { application, until } from './rig.ts'

let cluster: Awaited<ReturnType<typeof startRedisCluster>>
beforeAll(async () => void (cluster = await startRedisCluster()), 30_000)
afterAll(() => cluster.stop())

it('runs jobs, keeps events and limits, follows and expires on a Cluster of three nodes', async () => {
  const kernel = await application({ cluster: { nodes: cluster.nodes } })
  const seen: string[] = []
  const messages: string[] = []
  const events = kernel.port('events')
  const stop = await events.subscribe('*', {}, (batch: readonly StoredEvent[]) => {
    seen.push(...batch.map(({ type }) => type))
  })
  await events.subscribe('run', { onMessage: ({ type }) => void messages.push(type) }, () => {})
  await kernel.registerWorker({
    id: 'w',
    config: { queue: 'q', concurrency: 10, concurrencyPerKey: 1 },
    handler: async ({ data }: { data: unknown }, { state }) => {
      await state.set('n', data)
      return data
    },
  })
  await kernel.registerWorker({ id: 'v', config: { queue: 'p:{odd}' }, handler: () => 'other queue' })
  await kernel.start()
  const items = Array.from({ length: 40 }, (_, data) => ({
    worker: data % 2 === 0 ? 'w' : 'v',
    data,
    options: data % 4 === 0 ? { concurrencyKey: 'k' } : {},
  }))
  const jobs = await kernel.enqueueMany(items)
  const results = await Promise.all(jobs.map((job) => kernel.result(job)))
  expect(results).toEqual(items.map(({ worker, data }) => (worker === 'w' ? data : 'other queue')))
  expect(await kernel.state(jobs[2]!.runId)).toEqual({ n: 2 })
  await until(() => seen.filter((type) => type === 'step.completed').length === 40)
  stop()
  await events.publish('run', [{ type: 'hello' }])
  await until(() => messages.length === 1)
  const queue = kernel.port('queue')
  expect((await queue.getQueues()).filter((name) => !name.startsWith('_')).toSorted()).toEqual(['p:{odd}', 'q'])
  expect(await queue.getJobCounts('q')).toMatchObject({ completed: 20, waiting: 0 })
  expect(await events.runs.list({ status: 'completed', queue: 'q' })).toHaveLength(20)
  expect(await events.expire({ outcome: 'completed', endedBefore: 0, keep: 5 })).toBe(35)
  expect(await queue.clean({ outcome: 'completed', endedBefore: 0, keep: 5 })).toBe(35)
  expect(await queue.getJobs({ states: ['completed'] })).toHaveLength(5)
  const limits = kernel.port('limits')
  expect([await limits.acquire('k', 1, 1000, 'a'), await limits.acquire('k', 1, 1000, 'b')]).toEqual([true, false])
  expect(await limits.release('k', 'a')).toEqual(['b'])
  expect(await limits.take('b', { max: 1, duration: 1000 })).toBe(0)
})
