import { createPluginHarness } from 'nuxt-queue/testing/conformance'
import { expect, it, onTestFinished } from 'vitest'
import redisPlugin from '../../../plugins/adapters/redis/connection/index.ts'
import queueRedis from '../../../plugins/adapters/redis/queue/index.ts'
import { RECOVER } from '../../../plugins/adapters/redis/queue/lease-scripts.ts'
import { sharedRedis } from '../../services/redis.ts'
import { application, collect, until } from './rig.ts'

async function freshStore() {
  const server = await sharedRedis()
  onTestFinished(() => server.stop())
  return { url: server.url, prefix: crypto.randomUUID(), checkServer: false }
}

it('fails a job that cannot be read, and runs the others', async () => {
  const [redis, reports, seen] = [await freshStore(), collect(), new Set<unknown>()]
  const kernel = await application(redis, reports)
  const handler = ({ data }: { data: unknown }): void => void seen.add(data)
  await kernel.registerWorker({ id: 'work', config: { queue: 'work', concurrency: 5 }, handler })
  const jobs = await kernel.enqueueMany(Array.from({ length: 20 }, (_, data) => ({ worker: 'work', data })))
  const { client } = kernel.port('redis')
  const keys = await (client as { keys(pattern: string): Promise<string[]> }).keys(`*:${jobs[3]!.id}`)
  expect(keys).toHaveLength(1)
  await client.call('hset', [keys[0]!, 'opts', '{broken'])
  await kernel.start()
  await until(() => seen.size === 19)
  await until(async () => {
    const { failed, active } = await kernel.port('queue').getJobCounts('work')
    return failed === 1 && active === 0
  })
  expect(seen.has(3)).toBe(false)
  expect(reports.errors).toEqual([`Job "${jobs[3]!.id}" of queue "work" cannot be read, so it has failed.`])
})

it('returns the jobs that one call has claimed if the other one fails while it closes', async () => {
  const redis = await freshStore()
  const { kernel, dispose } = await createPluginHarness({
    ...{ plugins: [redisPlugin, queueRedis], config: { redis }, reporter: collect(), time: 'real' },
  })
  onTestFinished(dispose)
  const [queue, workers, { client }] = [kernel.port('queue'), kernel.port('workers'), kernel.port('redis')]
  const facts = { queue: 'work', name: 'work', data: 1, runId: 'run', options: {}, priority: 0, flow: undefined }
  const now = Date.now()
  for (const id of ['a', 'b', 'c', 'd', 'e', 'f']) await queue.enqueue({ ...facts, id, createdAt: now, runAt: now })
  const [first, second] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  let calls = 0
  const call = client.call.bind(client)
  // The response to the first claim is late, and the second claim fails.
  client.call = (async (command: string, args: string[]) => {
    // Redis does not know the script of the first call, which is sent again as text.
    const number = Number(args[6]) !== 4 ? 0 : command === 'evalsha' ? ++calls : calls
    if (number === 2) await second.promise.then(() => Promise.reject(new Error('The store is overloaded.')))
    const reply = await call(command, args)
    if (number === 1) await first.promise
    return reply
  }) as never
  const run = async (): Promise<never> => Promise.reject(new Error('No job must start.'))
  const options = { concurrency: 8 }
  await workers.registerWorker('work', 'work', run, options)
  await until(() => calls === 1)
  await workers.registerWorker('work', 'work', run, options)
  await until(() => calls === 2)
  const closed = workers.closeAll({ timeout: 30_000 })
  first.resolve()
  await until(async () => (await queue.getJobCounts('work')).active === 4)
  second.resolve()
  await closed
  expect(await queue.getJobCounts('work')).toMatchObject({ active: 0, waiting: 6 })
})

it('returns jobs whose claim was lost in front of the jobs of their priority', async () => {
  const redis = await freshStore()
  const { kernel, dispose } = await createPluginHarness({
    ...{ plugins: [redisPlugin, queueRedis], config: { redis }, reporter: collect(), time: 'real' },
  })
  onTestFinished(dispose)
  const [queue, workers, { client }] = [kernel.port('queue'), kernel.port('workers'), kernel.port('redis')]
  const facts = { queue: 'work', name: 'work', data: 1, runId: 'run', options: {}, flow: undefined }
  const now = Date.now()
  for (const [id, priority] of Object.entries({ low: -1, plain: 0, lost: -1, urgent: 1, found: 0 })) {
    await queue.enqueue({ ...facts, id, priority, createdAt: now, runAt: now })
  }
  const base = `${redis.prefix}:work`
  // A consumer claims two jobs, and loses the response.
  await client.call('zrem', [`${base}:prioritized`, 'lost'])
  await client.call('lrem', [`${base}:wait`, '1', 'found'])
  for (const id of ['lost', 'found']) {
    await client.call('lpush', [`${base}:active`, id])
    await client.call('set', [`${base}:${id}:lock`, 'consumer:1'])
  }
  expect(await client.call('eval', [RECOVER, '1', `${base}:meta`, base, 'consumer'])).toBe(2)
  const ran: string[] = []
  const processor = async ({ id }: { id: string }) => {
    ran.push(id)
    return { type: 'completed', result: undefined } as const
  }
  await workers.registerWorker('work', 'work', processor, { concurrency: 1 })
  await until(() => ran.length === 5)
  expect(ran).toEqual(['urgent', 'found', 'plain', 'lost', 'low'])
})
