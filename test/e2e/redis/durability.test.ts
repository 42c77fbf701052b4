import { Redis } from 'ioredis'
import type { StoredEvent } from 'nuxt-queue'
import { describe, expect, it, onTestFinished } from 'vitest'
import { startRedis, type RedisServiceOptions } from '../../services/redis.ts'
import { turnAway } from '../../services/service.ts'
import { application, collect, instance, until } from './rig.ts'

const LEASE = 1000

/** A separate store that the test may harm. */
async function store(options?: RedisServiceOptions) {
  const server = await startRedis(options)
  onTestFinished(() => server.stop())
  return server
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index)

describe('many processes on one Redis', () => {
  it('append to one stream at once: gapless, in order, batches together', async () => {
    const { url } = await store()
    const settings = { mode: 'append', stream: 'shared', events: 50 }
    const processes = range(1, 4).map(() => instance({ url }, settings))
    for (const one of await Promise.all(processes.map(({ ended }) => ended))) expect(one.stdout).toBe('appended 50\n')
    const events = await (await application({ url })).port('events').read('shared')
    expect(events.map(({ seq }) => seq)).toEqual(range(1, 400))
    const first = events.filter(({ seq }) => seq % 2 === 1)
    expect(first.every(({ type }) => type === 'one')).toBe(true)
    expect(new Set(first.map(({ data }) => JSON.stringify(data))).size).toBe(200)
    const dates = events.map(({ ts }) => ts)
    expect(dates).toEqual(dates.toSorted((a, b) => a - b))
  })

  it('remove no more than the excess when several sweep at once', async () => {
    const { url } = await store()
    const kernels = await Promise.all(range(1, 4).map(() => application({ url })))
    const stores = kernels.map((kernel) => kernel.port('events'))
    const run = { status: 'completed', name: 'n' } as const
    await Promise.all(range(1, 1500).map((n) => stores[0]!.append(`r${n}`, [{ type: 'x' }], { run })))
    const policy = { outcome: 'completed', endedBefore: 0, keep: 500 } as const
    const forgotten = await Promise.all(stores.map((one) => one.expire(policy)))
    expect(forgotten.reduce((sum, count) => sum + count, 0)).toBe(1000)
    expect(await stores[0]!.runs.list({ limit: 2000 })).toHaveLength(500)
  })

  it('rerun the job of a killed worker elsewhere, within a lease and five seconds', async () => {
    const { url } = await store()
    const redis = { url, lease: LEASE }
    const first = instance(redis, { mode: 'work' })
    await first.until(/ready/)
    const kernel = await application(redis)
    const job = await kernel.enqueue({ queue: 'q', name: 'w' }, first.pid)
    await first.until(new RegExp(`runs ${job.id}`))
    await until(async () => (await kernel.port('events').head(job.runId)) === 1)
    first.kill('SIGKILL')
    await first.ended
    const later = await kernel.enqueue({ queue: 'q', name: 'w' }, null, { delay: LEASE + 5000 })
    const second = instance(redis, { mode: 'work' })
    expect(await kernel.result(job)).toBe(second.pid)
    await kernel.result(later)
    expect(await kernel.port('queue').getJob('q', job.id)).toMatchObject({ claims: 2, crashes: 1, attemptsMade: 0 })
    const types = (await kernel.port('events').read(job.runId)).map(({ type }) => type)
    expect(types).toEqual(['step.started', 'step.started', 'step.completed'])
    // The job that was due a lease and five seconds after the kill ran after it.
    const due = (await kernel.port('events').read(later.runId))[0]!.ts
    expect((await kernel.port('events').read(job.runId)).at(-1)!.ts).toBeLessThanOrEqual(due)
  })

  it('lose a job that a worker frozen for longer than its lease holds, once', async () => {
    const { url } = await store()
    const redis = { url, lease: LEASE }
    const frozen = instance(redis, { mode: 'work' })
    await frozen.until(/ready/)
    const kernel = await application(redis)
    const job = await kernel.enqueue({ queue: 'q', name: 'w' }, frozen.pid)
    await frozen.until(new RegExp(`runs ${job.id}`))
    frozen.kill('SIGSTOP')
    const other = instance(redis, { mode: 'work' })
    await other.until(new RegExp(`runs ${job.id}`))
    expect(await kernel.result(job)).toBe(other.pid)
    frozen.kill('SIGCONT')
    const next = await kernel.enqueueMany(range(1, 20).map((n) => ({ worker: { queue: 'q', name: 'w' }, data: -n })))
    for (const one of next) await kernel.result(one)
    const ends = (await kernel.port('events').read(job.runId)).filter(({ type }) => type === 'step.completed')
    expect(ends).toHaveLength(1)
  })
})

describe('a Redis that fails', () => {
  it('and comes back finds workers that continue by themselves, and no data lost', async () => {
    const server = await store({ appendfsync: 'always' })
    const reports = collect()
    const kernel = await application({ url: server.url, lease: LEASE }, reports)
    const ran: unknown[] = []
    await kernel.registerWorker({
      id: 'w',
      config: { queue: 'q' },
      handler: ({ data }: { data: unknown }) => void ran.push(data),
    })
    await kernel.start()
    await kernel.result(await kernel.enqueue('w', 'before'))
    await kernel.port('queue').pause('q')
    const kept = await kernel.enqueueMany(range(1, 50).map((data) => ({ worker: 'w', data })))
    await server.kill()
    // The call is made while the store is unavailable, and returns once it is available again.
    const meanwhile = kernel.enqueue('w', 'meanwhile')
    const seen = kernel.port('events').append('stream', [{ type: 'meanwhile' }])
    await turnAway(server.port, 10)
    await server.restart()
    await kernel.port('queue').resume('q')
    for (const job of [...kept, await meanwhile]) await kernel.result(job)
    expect(await seen).toMatchObject({ ok: true, head: 1 })
    expect(new Set(ran.slice(1))).toEqual(new Set([...range(1, 50), 'meanwhile']))
    expect(ran).toHaveLength(52)
    expect(reports.errors.filter((text) => /connection to Redis .* was lost/.test(text))).toHaveLength(1)
    expect(reports.warnings.filter((text) => /is back/.test(text))).toHaveLength(1)
  })

  it('or cuts connections loses no event for a follower', async () => {
    const { url } = await store()
    const kernel = await application({ url })
    const admin = new Redis(url)
    onTestFinished(() => admin.disconnect())
    const events = kernel.port('events')
    const one: number[] = []
    const all = new Set<string>()
    await events.subscribe('followed', { after: 0 }, (batch) => void one.push(...batch.map(({ seq }) => seq)))
    await events.subscribe('*', {}, (batch: readonly StoredEvent[]) => {
      for (const { id } of batch) all.add(id)
    })
    for (const n of range(1, 300)) {
      await events.append('followed', [{ type: 't', data: n }])
      await events.append(`other-${n % 7}`, [{ type: 't' }])
      if (n % 60 === 0) await admin.call('CLIENT', 'KILL', 'TYPE', n % 120 === 0 ? 'normal' : 'pubsub', 'SKIPME', 'yes')
    }
    await until(() => one.length >= 300 && all.size >= 600)
    expect(one).toEqual(range(1, 300))
    expect(await events.head('followed')).toBe(300)
  })

  it('at start is reported as an error', async () => {
    const server = await store()
    await server.kill()
    await expect(application({ url: server.url }, collect(), { setupTimeout: 500 })).rejects.toThrow(
      /Plugin "redis" failed.*Redis at 127\.0\.0\.1:\d+ did not respond within 400 ms.*ECONNREFUSED/,
    )
  })
})

describe('the settings of a server', () => {
  it.each([
    ['evicts', { maxmemoryPolicy: 'allkeys-lru', appendfsync: 'always' }, [/evict .*allkeys-lru.*noeviction/]],
    ['keeps nothing', {}, [/no append-only file/]],
    ['keeps what is a second old', { appendfsync: 'everysec' }, [/last second .*everysec/]],
    ['keeps everything', { appendfsync: 'always' }, []],
  ] as const)('are warned of when it %s', async (_what, options, warnings) => {
    const { url } = await store(options)
    const reports = collect()
    await application({ url, checkServer: true }, reports)
    expect(reports.warnings).toHaveLength(warnings.length)
    for (const [index, warning] of warnings.entries()) expect(reports.warnings[index]).toMatch(warning)
  })

  it('fix the number of shards', async () => {
    const { url } = await store()
    await application({ url, shards: 8 })
    await expect(application({ url, shards: 9 })).rejects.toThrow(
      /are stored in 8 shards, but redis.shards is 9. Set redis.shards to 8/,
    )
  })
})
