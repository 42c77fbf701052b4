import { afterAll, beforeAll, expect, it } from 'vitest'
import { sharedRedis } from '../../services/redis.ts'
import { application, instance, until } from './rig.ts'

const TEN_MINUTES = 600_000
/** How late a slow machine may be. */
const LATE = 60_000
let server: Awaited<ReturnType<typeof sharedRedis>>
beforeAll(async () => void (server = await sharedRedis()))
afterAll(() => server.stop())

it.each([
  ['ahead', TEN_MINUTES],
  ['behind', -TEN_MINUTES],
])('a delay of a machine whose clock is %s lasts as long as it says', async (_which, skew) => {
  const redis = { url: server.url, prefix: crypto.randomUUID() }
  const kernel = await application(redis)
  const began = Date.now()
  const { stdout, stderr } = await instance(redis, { mode: 'produce', skew }).ended
  const [, offset, id] = /clock (-?\d+)\nenqueued (\S+)/.exec(stdout)!
  expect(Math.abs(Number(offset))).toBeLessThan(LATE)
  expect(stderr).toMatch(/clock of this machine is \d+ ms/)
  const job = await until(() => kernel.port('queue').getJob('q', id!))
  expect(job.runAt - job.createdAt).toBe(400)
  expect(job.runAt).toBeGreaterThanOrEqual(began)
  expect(job.runAt).toBeLessThan(Date.now() + 2000)
})

it.each([
  ['ahead', TEN_MINUTES],
  ['behind', -TEN_MINUTES],
])('a machine whose clock is %s runs jobs and ends naps when they are due', async (_which, skew) => {
  const redis = { url: server.url, prefix: crypto.randomUUID() }
  const kernel = await application(redis)
  await instance(redis, { mode: 'work', skew }).until(/ready/)
  const began = Date.now()
  const job = await kernel.enqueue({ queue: 'q', name: 'w' }, 'x', { delay: 400 })
  await kernel.result(job, { timeout: 60_000 })
  expect(Date.now() - began).toBeGreaterThanOrEqual(400)
  const nap = await kernel.enqueue({ queue: 'naps', name: 'naps' })
  expect(Math.abs((await kernel.result(nap, { timeout: 60_000 })) as number)).toBeLessThan(LATE)
})
