import { Redis } from 'ioredis'
import { createKernel } from 'nuxt-queue/kernel'
import { expect, it, onTestFinished } from 'vitest'
import eventsRedis from '../../../plugins/adapters/redis/events/index.ts'
import queueRedis from '../../../plugins/adapters/redis/queue/index.ts'
import redis from '../../../plugins/adapters/redis/connection/index.ts'
import { startRedis } from '../../services/redis.ts'
import { application, collect, until } from './rig.ts'

const LEASE = 1000

async function store() {
  const server = await startRedis()
  const admin = new Redis(server.url)
  onTestFinished(async () => {
    admin.disconnect()
    await server.stop()
  })
  const connections = async (): Promise<number> =>
    Number(/total_connections_received:(\d+)/.exec(await admin.info('stats'))![1])
  return { ...server, admin, connections }
}

const health = async (kernel: Awaited<ReturnType<typeof application>>): Promise<number> =>
  (await kernel.http.fetch(new Request('http://localhost/_queue/api/health'))).status

it('reports once that a primary has become a replica, is unhealthy meanwhile, limits its retries, and continues', async () => {
  const { url, admin, connections } = await store()
  const reports = collect()
  const kernel = await application({ url, lease: LEASE }, reports, { http: { authorize: () => true } })
  await kernel.registerWorker({ id: 'w', handler: ({ data }: { data: unknown }) => data })
  await kernel.start()
  expect(await kernel.result(await kernel.enqueue('w', 1))).toBe(1)
  expect(await health(kernel)).toBe(200)
  const before = await connections()
  await admin.replicaof('127.0.0.1', '1')
  const waiting = kernel.enqueue('w', 2)
  await until(() => reports.errors.length > 0)
  expect(await health(kernel)).toBe(503)
  await new Promise((resolve) => setTimeout(resolve, 3000))
  expect(reports.errors).toEqual([expect.stringMatching(/refuses calls: .*READONLY/)])
  // Two connections. Each tries to find a primary at growing intervals.
  expect((await connections()) - before).toBeLessThan(30)
  expect(await health(kernel)).toBe(503)
  await admin.call('replicaof', 'no', 'one')
  expect(await kernel.result(await waiting)).toBe(2)
  await until(async () => (await health(kernel)) === 200)
  expect(reports.errors).toHaveLength(1)
  expect(reports.warnings).toEqual([expect.stringMatching(/is back/)])
})

it('retries writes that a busy or full store rejects, without failing a job', async () => {
  const { url, admin } = await store()
  const reports = collect()
  const kernel = await application({ url, lease: LEASE }, reports)
  let runs = 0
  const config = { concurrency: 5, concurrencyPerKey: 1, rateLimit: { max: 100, duration: 100 } }
  await kernel.registerWorker({ id: 'w', config, handler: ({ data }: { data: unknown }) => [data, ++runs] })
  await kernel.start()
  const jobs = await kernel.enqueueMany(
    Array.from({ length: 20 }, (_, data) => ({
      worker: 'w',
      data,
      options: { concurrencyKey: `k${data % 3}`, delay: 300 },
    })),
  )
  await admin.config('SET', 'busy-reply-threshold', '50')
  const busy = admin.eval(`local t = redis.call('TIME') repeat local n = redis.call('TIME') until n[1] - t[1] >= 2`, 0)
  await busy
  await admin.config('SET', 'maxmemory', '1mb')
  const refused = kernel.enqueue('w', 20)
  await until(async () => (await admin.info('errorstats')).includes('errorstat_OOM'))
  await admin.config('SET', 'maxmemory', '0')
  jobs.push(await refused)
  for (const job of jobs) await kernel.result(job)
  expect(runs).toBe(jobs.length)
  expect(await kernel.port('queue').getJobCounts(jobs[0]!.queue)).toMatchObject({ completed: 21, failed: 0 })
})

it('reports once that a queue cannot be searched for lost jobs, and once when it can be searched again', async () => {
  const { url, admin } = await store()
  const reports = collect()
  const kernel = await application({ url, lease: LEASE }, reports)
  await kernel.registerWorker({ id: 'w', handler: ({ data }: { data: unknown }) => data })
  await kernel.start()
  await kernel.result(await kernel.enqueue('w', 1))
  // The log may contain the end before the queue does.
  const ended = await until(async () => (await admin.keys('*:default:completed'))[0])
  const active = ended.replace(/completed$/, 'active')
  await admin.set(active, 'no list')
  await until(() => reports.errors.length > 0)
  const failedCalls = async (): Promise<number> =>
    Number(/errorstat_WRONGTYPE:count=(\d+)/.exec(await admin.info('errorstats'))?.[1] ?? 0)
  const failed = await failedCalls()
  await until(async () => (await failedCalls()) >= failed + 2)
  await admin.del(active)
  await until(() => reports.warnings.length > 0)
  expect(reports.errors).toEqual(['Queue "default" could not be searched for jobs with an expired lease.'])
  expect(reports.warnings).toEqual(['Queue "default" is searched for jobs with an expired lease again.'])
  expect(await kernel.result(await kernel.enqueue('w', 2))).toBe(2)
})

it('fails an enqueue with a code after its timeout while the store is unavailable', async () => {
  const { url, freeze, kill, restart } = await store()
  const kernel = await application({ url, lease: LEASE, enqueueTimeout: 200 })
  const refused = { code: 'STORE_UNAVAILABLE' }
  const target = { queue: 'q', name: 'w' }
  const thawed = freeze(1000)
  await expect(kernel.enqueue(target, 1)).rejects.toMatchObject(refused)
  await thawed
  await kill()
  await expect(kernel.enqueue(target, 2)).rejects.toMatchObject(refused)
  await expect(kernel.enqueueMany([{ worker: target, data: 3 }])).rejects.toMatchObject(refused)
  await restart()
  await until(() => kernel.enqueue(target, 4).catch(() => undefined))
})

it('closes in time while the store is unavailable', async () => {
  const { url, kill } = await store()
  const config = { redis: { url, checkServer: false } }
  const kernel = await createKernel({ plugins: [redis, queueRedis, eventsRedis], config, reporter: collect() })
  await kernel.port('workers').registerWorker('q', 'w', async () => ({ type: 'lost' }), { concurrency: 1 })
  await kernel.port('queue').getJobCounts('q')
  await kill()
  const policy = { outcome: 'completed', endedBefore: Infinity, keep: 0 } as const
  Promise.resolve(kernel.port('queue').clean(policy)).catch(() => {})
  Promise.resolve(kernel.port('events').expire(policy)).catch(() => {})
  const late = new Promise((resolve) => void setTimeout(resolve, 9000, 'late').unref())
  expect(await Promise.race([kernel.close({ timeout: 100 }), late])).toEqual({ aborted: [] })
})
