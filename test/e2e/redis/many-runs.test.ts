import { Redis } from 'ioredis'
import type { EventStore, RunFilter } from 'nuxt-queue'
import { expect, it, onTestFinished } from 'vitest'
import { startRedis } from '../../services/redis.ts'
import { application, until } from './rig.ts'

async function store() {
  const server = await startRedis()
  const admin = new Redis(server.url)
  onTestFinished(async () => {
    admin.disconnect()
    await server.stop()
  })
  /** Returns how many calls of scripts an operation makes. */
  const calls = async (something: () => Promise<unknown>): Promise<number> => {
    const count = async (): Promise<number> =>
      [...(await admin.info('commandstats')).matchAll(/cmdstat_eval(?:sha)?:calls=(\d+)/g)].reduce(
        (sum, [, some]) => sum + Number(some),
        0,
      )
    const before = await count()
    await something()
    return (await count()) - before
  }
  /** Waits until more than a second has passed on the clock of Redis. */
  const nextSecond = async (): Promise<void> => {
    const second = async (): Promise<number> => Number((await admin.time())[0])
    const before = await second()
    await until(async () => (await second()) > before + 1)
  }
  return { ...server, admin, calls, nextSecond }
}

async function pages(events: EventStore, filter: RunFilter, limit: number): Promise<string[]> {
  const found: Awaited<ReturnType<EventStore['runs']['list']>> = []
  for (;;) {
    const page = await events.runs.list({ ...filter, limit, after: found.at(-1) })
    if (page.length === 0) return found.map(({ runId }) => runId)
    found.push(...page)
  }
}

const run = (status: 'running' | 'completed' | 'failed') => ({ run: { status, name: 'n', queue: 'q' } })

it('pages through long and short runs, including runs that ended before long runs had an index', async () => {
  const { url, admin, nextSecond } = await store()
  const events = (await application({ url, shards: 4 })).port('events')
  const started: string[] = []
  const start = async (id: string): Promise<void> => {
    started.unshift(id)
    await events.append(id, [{ type: 'begins' }], run('running'))
  }
  for (let n = 0; n < 12; n++) await start(`long-${n}`)
  await nextSecond()
  for (let n = 0; n < 12; n++) {
    await start(`short-${n}`)
    await events.append(`short-${n}`, [{ type: 'ends' }], run(n % 2 === 0 ? 'completed' : 'failed'))
    await events.append(`long-${n}`, [{ type: 'ends' }], run(n % 2 === 0 ? 'completed' : 'failed'))
  }
  await events.append('long-1', [{ type: 'again' }], { reopen: true, ...run('running') })
  const even = started.filter((id) => Number(id.split('-')[1]) % 2 === 0)
  const middle = (await events.runs.get('short-0'))!.startedAt
  const check = async (store: EventStore): Promise<void> => {
    for (const limit of [1, 5, 50]) {
      expect(await pages(store, {}, limit)).toEqual(started)
      expect(await pages(store, { status: 'completed' }, limit)).toEqual(even)
      expect(await pages(store, { startedBefore: middle }, limit)).toEqual(started.slice(-12))
      expect(await pages(store, { status: 'running' }, limit)).toEqual(['long-1'])
    }
  }
  await check(events)
  await admin.hdel('nuxt-queue:events', 'long')
  await admin.del(...(await admin.keys('*:long')))
  await check((await application({ url, shards: 4 })).port('events'))
  await events.expire({ outcome: 'completed', endedBefore: Infinity, keep: 0 })
  await events.expire({ outcome: 'failed', endedBefore: Infinity, keep: 0 })
  expect(await pages(events, {}, 5)).toEqual(['long-1'])
  expect(await admin.keys('*:long')).toEqual([])
})

it('finds, trims and removes runs in many short calls, so that Redis can serve other clients in between', async () => {
  const { url, calls, admin, nextSecond } = await store()
  const events = (await application({ url })).port('events')
  const old = Array.from({ length: 20 }, (_, n) => `old${n}`)
  await Promise.all(old.map((id) => events.append(id, [{ type: 'x' }], run('failed'))))
  await nextSecond()
  const many = Array.from({ length: 6000 }, (_, n) => `r${n}`)
  await Promise.all(many.map((id) => events.append(id, [{ type: 'x' }], run('failed'))))
  expect(await calls(async () => expect(await events.runs.list({ name: 'nobody' })).toEqual([]))).toBeGreaterThan(9)
  const after = (await events.runs.get(old[0]!))!
  const behind = [...old, ...many].toSorted().filter((id) => id.startsWith('old'))
  expect(await calls(async () => expect((await events.runs.list({ after })).length).toBeLessThan(20))).toBeLessThan(5)
  expect((await pages(events, {}, 1000)).slice(-20).toSorted()).toEqual(behind)
  const long = Array.from({ length: 5000 }, (_, n) => ({ type: 'x', key: n === 7 ? 'kept' : undefined }))
  await events.append('long', long, run('running'))
  await events.append('long', [{ type: 'last' }], run('completed'))
  await events.snapshots.put('long', { reducer: 'x@1', seq: 4500, state: {} })
  expect(await calls(async () => events.trim('long', 4500))).toBeGreaterThan(1)
  expect((await events.read('long', { after: 4500 })).map(({ seq }) => seq).at(0)).toBe(4501)
  await events.append('longer', [...long, ...long], run('completed'))
  const before = await admin.xlen('{nuxt-queue:s0}:log')
  expect(
    await calls(async () => events.expire({ outcome: 'completed', endedBefore: Infinity, keep: 0 })),
  ).toBeGreaterThan(5)
  expect(await events.head('longer')).toBe(0)
  expect(await events.runs.list({ status: 'completed' })).toEqual([])
  expect(await admin.xlen('{nuxt-queue:s0}:log')).toBeLessThan(before)
  expect(await admin.xlen('{nuxt-queue:s0}:log')).toBe(6020)
})
