import { FlowProducer, Queue, QueueEvents, Worker, type Job } from 'bullmq'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import type { Kernel } from '../../../index.ts'
import { sharedRedis } from '../../services/redis.ts'
import { application, until } from './rig.ts'

type Server = Awaited<ReturnType<typeof sharedRedis>>
let server: Server
beforeAll(async () => void (server = await sharedRedis()))
afterAll(() => server.stop())

/** Plain BullMQ together with an application of this package. */
async function rig() {
  const prefix = crypto.randomUUID()
  const connection = new Redis(server.url, { maxRetriesPerRequest: null })
  const others: Redis[] = []
  const another = (): Redis => {
    const other = connection.duplicate()
    others.push(other)
    return other
  }
  const plain = new Queue('mail', { connection, prefix })
  const events = new QueueEvents('mail', { connection: another(), prefix })
  await events.waitUntilReady()
  onTestFinished(async () => {
    await plain.close()
    await events.close()
    for (const one of [connection, ...others]) one.disconnect()
  })
  const kernel = await application({ url: server.url, prefix }, undefined, { workerWait: 100 })
  const work = (handler: (job: Job) => Promise<unknown>): Worker => {
    const worker = new Worker('mail', handler, { connection: another(), prefix })
    onTestFinished(() => worker.close())
    return worker
  }
  return { prefix, plain, events, kernel, work, connection }
}

/** Another instance of the application, without a previous search. */
const kernelOn = (prefix: string): Promise<Kernel> => application({ url: server.url, prefix })

describe('jobs of a plain BullMQ queue on our workers', () => {
  it('run, and their client sees the result', async () => {
    const { plain, events, kernel } = await rig()
    const seen: unknown[] = []
    const handler = ({ data, runId, id }: { data: unknown; runId: string; id: string }): unknown => {
      seen.push(data, id)
      return { runId }
    }
    await kernel.registerWorker({ id: 'send', config: { queue: 'mail' }, handler })
    await kernel.start()
    const job = await plain.add('send', { to: 'ada@example.com' })
    const result = (await job.waitUntilFinished(events)) as { runId: string }
    expect(seen).toEqual([{ to: 'ada@example.com' }, job.id])
    const record = await kernel.port('queue').getJob('mail', job.id!)
    expect(record).toMatchObject({ state: 'completed', attemptsMade: 0, claims: 1, runId: result.runId })
    expect(await kernel.port('events').runs.get(result.runId)).toMatchObject({ status: 'completed', jobId: job.id })
    expect(await plain.getJobCounts('completed', 'failed')).toEqual({ completed: 1, failed: 0 })
    expect(await job.getState()).toBe('completed')
  })

  it('keep their attempts, backoff, delay and priority', async () => {
    const { plain, kernel } = await rig()
    const starts: [name: string, at: number][] = []
    await kernel.registerWorker({
      id: 'any',
      config: { queue: 'mail', name: 'any' },
      handler: ({ data }: { data: unknown }) => {
        starts.push([String(data), Date.now()])
        if (data === 'fails') throw new Error('no luck')
      },
    })
    const queue = kernel.port('queue')
    await queue.pause('mail')
    const began = Date.now()
    await plain.add('any', 'last', { priority: 7 })
    await plain.add('any', 'second', { priority: 3 })
    await plain.add('any', 'first')
    await kernel.start()
    await plain.resume()
    await until(() => starts.length === 3)
    expect(starts.map(([name]) => name)).toEqual(['first', 'second', 'last'])
    await plain.add('any', 'delayed', { delay: 150 })
    const failing = await plain.add('any', 'fails', { attempts: 2, backoff: { type: 'fixed', delay: 80 } })
    await until(async () => (await failing.getState()) === 'failed')
    await until(() => starts.some(([name]) => name === 'delayed'))
    const [first, second] = starts.filter(([name]) => name === 'fails').map(([, at]) => at)
    expect(second! - first!).toBeGreaterThanOrEqual(80)
    expect(starts.find(([name]) => name === 'delayed')![1] - began).toBeGreaterThanOrEqual(150)
    expect(await plain.getJob(failing.id!)).toMatchObject({ failedReason: 'no luck', attemptsMade: 2 })
  })

  it('carry the metadata of their telemetry as headers, in both directions', async () => {
    const { prefix, plain, events, kernel, work } = await rig()
    const seen: unknown[] = []
    await kernel.registerWorker({ id: 'send', config: { queue: 'mail' }, handler: ({ headers }) => seen.push(headers) })
    await kernel.start()
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    for (const metadata of [JSON.stringify({ traceparent, tracestate: 'a=1' }), 'not headers', undefined]) {
      const job = await plain.add('send', {}, metadata === undefined ? {} : { telemetry: { metadata } })
      await job.waitUntilFinished(events)
    }
    expect(seen).toEqual([{ traceparent, tracestate: 'a=1' }, {}, {}])

    await kernel.close()
    work(async ({ opts }) => seen.push(JSON.parse(opts.telemetry!.metadata!)))
    const other = await kernelOn(prefix)
    await other.enqueue({ queue: 'mail', name: 'theirs' }, 1, { headers: { traceparent, tenant: 'acme' } })
    await until(() => seen.length === 4)
    expect(seen[3]).toEqual({ traceparent, tenant: 'acme' })
  })

  it('that failed run again, with all their attempts, when their client or our API retries them', async () => {
    const { plain, kernel } = await rig()
    const attempts: [unknown, number][] = []
    let broken = true
    const handler = ({ data, attempt }: { data: unknown; attempt: number }): string => {
      attempts.push([data, attempt])
      if (broken) throw new Error('down')
      return 'up'
    }
    await kernel.registerWorker({ id: 'send', config: { queue: 'mail' }, handler })
    await kernel.start()
    const theirs = await plain.add('send', 'theirs', { attempts: 2 })
    const ours = await kernel.enqueue('send', 'ours', { attempts: 2 })
    const failed = async (id: string): Promise<boolean> => (await (await plain.getJob(id))!.getState()) === 'failed'
    await until(async () => (await failed(theirs.id!)) && (await failed(ours.id)))
    for (const id of [theirs.id!, ours.id]) await (await plain.getJob(id))!.retry()
    await until(() => attempts.length === 8)
    await until(async () => (await failed(theirs.id!)) && (await failed(ours.id)))
    broken = false
    await (await plain.getJob(ours.id))!.retry()
    await until(async () => (await (await plain.getJob(ours.id))!.getState()) === 'completed')
    expect(await kernel.port('events').runs.get(ours.runId)).toMatchObject({ status: 'completed' })
    expect(attempts.filter(([data]) => data === 'ours')).toEqual([1, 2, 1, 2, 1].map((n) => ['ours', n]))
    await kernel.retry({ queue: 'mail', id: theirs.id! })
    await until(async () => (await (await plain.getJob(theirs.id!))!.getState()) === 'completed')
    expect(attempts.filter(([data]) => data === 'theirs')).toEqual([1, 2, 1, 2, 1].map((n) => ['theirs', n]))
  })

  it('without a worker of their name go to the only worker of the queue, or fail with a reason', async () => {
    const { plain, kernel } = await rig()
    await kernel.registerWorker({ id: 'send', config: { queue: 'mail' }, handler: () => 'sent' })
    await kernel.registerWorker({ id: 'other', config: { queue: 'mail' }, handler: () => 'other' })
    await kernel.start()
    const job = await plain.add('unheard-of', {})
    await until(async () => (await job.getState()) === 'failed')
    expect((await plain.getJob(job.id!))?.failedReason).toMatch(/No worker handles "unheard-of" on queue "mail"/)
  })
})

describe('jobs that have ended', () => {
  it('leave no data, not even the data that BullMQ stores for a parent', async () => {
    const { plain, events, kernel, work, prefix, connection } = await rig()
    work(async (job) => void (await job.log('a line')))
    const flows = new FlowProducer({ connection, prefix })
    const child = { name: 'child', queueName: 'mail' }
    const { job: parent } = await flows.add({ name: 'parent', queueName: 'mail', children: [child] })
    await parent.waitUntilFinished(events)
    const ours = await kernel.enqueue({ queue: 'mail', name: 'ours' })
    await until(async () => (await plain.getCompletedCount()) === 3)
    const kept = async (id: string): Promise<number> => (await connection.keys(`${prefix}:mail:${id}*`)).length
    expect([await kept(parent.id!), await kept(ours.id)]).toEqual([3, 2])
    expect(await kernel.port('queue').clean({ outcome: 'completed', endedBefore: Infinity, keep: 0 })).toBe(3)
    expect([await kept(parent.id!), await kept(ours.id)]).toEqual([0, 0])
  })

  it('leave no log lines in queues to which no client of BullMQ adds jobs', async () => {
    const { kernel, connection, prefix } = await rig()
    const job = await kernel.enqueue({ queue: 'other', name: 'ours' })
    await kernel.registerWorker({ id: 'ours', config: { queue: 'other' }, handler: () => 'done' })
    await connection.rpush(`${prefix}:other:${job.id}:logs`, 'as a plain worker writes it')
    await kernel.start()
    await kernel.result(job)
    const queue = kernel.port('queue')
    await until(async () => (await queue.getJobCounts('other')).completed === 1)
    await queue.clean({ outcome: 'completed', endedBefore: Infinity, keep: 0 })
    expect(await connection.keys(`${prefix}:other:${job.id}*`)).toEqual([])
    expect(await connection.hgetall(`${prefix}:other:meta`)).toEqual({})
  })
})

describe('our jobs on a plain BullMQ worker', () => {
  it('run with the data as it was passed, and end as it says', async () => {
    const { kernel, work, plain } = await rig()
    const seen: unknown[] = []
    work(async (job) => {
      seen.push([job.name, job.data, job.id])
      if (job.data.fails) throw new Error('plainly')
      return { ok: true }
    })
    const good = await kernel.enqueue({ queue: 'mail', name: 'send' }, { to: 'ada' })
    const bad = await kernel.enqueue({ queue: 'mail', name: 'send' }, { fails: true }, { id: 'order:1/a b' })
    const queue = kernel.port('queue')
    const done = await until(async () => {
      const job = await queue.getJob('mail', good.id)
      return job?.state === 'completed' && job
    })
    expect(done).toMatchObject({ result: { ok: true }, attemptsMade: 0, runId: good.runId, data: { to: 'ada' } })
    const failed = await until(async () => {
      const job = await queue.getJob('mail', bad.id)
      return job?.state === 'failed' && job
    })
    expect(failed).toMatchObject({ id: 'order:1/a b', error: { message: 'plainly' }, attemptsMade: 1 })
    expect(seen).toContainEqual(['send', { to: 'ada' }, good.id])
    expect(await plain.getCompletedCount()).toBe(1)
  })

  it('are listed, counted and shown as a dashboard does', async () => {
    const { kernel, plain } = await rig()
    const target = { queue: 'mail', name: 'send' }
    await kernel.enqueue(target, { n: 1 }, { attempts: 3, backoff: { type: 'exponential', delay: 50 } })
    await kernel.enqueue(target, { n: 2 }, { priority: 5 })
    await kernel.enqueue(target, { n: 3 }, { priority: -5 })
    await kernel.enqueue(target, undefined, { delay: 60_000 })
    const counts = await plain.getJobCounts('wait', 'prioritized', 'delayed')
    expect(counts).toEqual({ wait: 1, prioritized: 2, delayed: 1 })
    const jobs = await plain.getJobs(['wait', 'prioritized', 'delayed'])
    expect(jobs.map(({ data }) => data as unknown)).toEqual(expect.arrayContaining([{ n: 1 }, { n: 2 }, { n: 3 }, {}]))
    expect(jobs.find(({ data }) => data.n === 1)?.opts).toMatchObject({
      attempts: 3,
      backoff: { type: 'exponential', delay: 50 },
    })
    const states = await Promise.all(jobs.map((job) => job.getState()))
    expect(states.toSorted()).toEqual(['delayed', 'prioritized', 'prioritized', 'waiting'])
    await (await plain.getDelayed())[0]!.promote()
    expect(await kernel.port('queue').getJobCounts('mail')).toMatchObject({ waiting: 4, delayed: 0 })
    await plain.pause()
    expect(await kernel.port('queue').isPaused('mail')).toBe(true)
  })

  it('arrive together, in any number', async () => {
    const { kernel, plain } = await rig()
    const target = { queue: 'mail', name: 'send' }
    const many = Array.from({ length: 20_000 }, (_, data) => ({ worker: target, data }))
    const receipts = await kernel.enqueueMany([...many, { worker: target, data: 'again', options: { id: 'x' } }])
    expect(receipts.every(({ deduplicated }) => !deduplicated)).toBe(true)
    expect(await plain.getWaitingCount()).toBe(20_001)
  })

  it('share a queue with ours: each job runs once', async () => {
    const { kernel, work } = await rig()
    const ran: string[] = []
    const handler = ({ data }: { data: unknown }): void => void ran.push(String(data))
    await kernel.registerWorker({ id: 'send', config: { queue: 'mail', concurrency: 3 }, handler })
    await kernel.start()
    work(async ({ data }) => void ran.push(String(data)))
    const names = Array.from({ length: 200 }, (_, n) => `job ${n}`)
    await kernel.enqueueMany(names.map((data) => ({ worker: { queue: 'mail', name: 'send' }, data })))
    await until(async () => (await kernel.port('queue').getJobCounts('mail')).completed === 200)
    expect(ran.toSorted()).toEqual(names.toSorted())
  })
})

describe('a search', () => {
  it('finds jobs of a plain queue and of earlier releases, and removed jobs leave nothing in the indexes', async () => {
    const { prefix, plain, kernel, connection } = await rig()
    const found = async (filter: object): Promise<string[]> => (await kernel.findJobs(filter)).jobs.map(({ id }) => id)
    const ours = await kernel.enqueue({ queue: 'mail', name: 'ours' }, { n: 1 }, { tags: ['a', 'b'] })
    const first = await plain.add('send', { n: 2 })
    const second = await plain.add('send', { n: 3 }, { delay: 60_000 })
    expect((await found({ queue: 'mail' })).toSorted()).toEqual([ours.id, first.id!, second.id!].toSorted())
    expect(await found({ name: 'send', states: ['delayed'] })).toEqual([second.id])
    expect(await found({ name: 'send', data: { n: 2 } })).toEqual([first.id])

    // Jobs of earlier releases have no entries.
    const indexes = await connection.keys(`${prefix}:mail:nq-by:*`)
    await connection.del(...indexes, `${prefix}:mail:nq-names`)
    await first.remove()
    const other = await kernelOn(prefix)
    const jobs = (await other.findJobs({ tag: 'a' })).jobs
    expect(jobs.map(({ id, tags }) => [id, tags])).toEqual([[ours.id, ['a', 'b']]])
    expect((await other.countJobs({ queue: 'mail', tag: 'b' })).counts).toMatchObject({ waiting: 1, delayed: 0 })

    await kernel.port('queue').remove('mail', ours.id)
    await kernel.port('queue').remove('mail', second.id!)
    expect(await connection.keys(`${prefix}:mail:nq-*`)).toEqual([])
  })
})

describe('jobs with a fair key', () => {
  it('take turns on a plain BullMQ worker, also after their turns were counted to the end, and leave nothing behind', async () => {
    const { prefix, kernel, work, connection } = await rig()
    await kernel.registerWorker({
      id: 'send',
      config: { queue: 'mail', fairKey: (data: string) => data },
      handler: () => {},
    })
    const add = (...keys: string[]) => kernel.enqueueMany(keys.map((data) => ({ worker: 'send', data })))
    const turns = async (): Promise<string[]> =>
      (await connection.keys(`${prefix}:mail:nq-fair*`)).concat(`${prefix}:mail:prioritized`)
    await add('big', 'big', 'big', 'b')
    for (const key of await turns()) {
      for (const id of await connection.zrange(key, 0, '-1')) await connection.zincrby(key, 2 ** 30 + 100, id)
    }
    await add('b', 'c')
    const last = await connection.zrange(`${prefix}:mail:prioritized`, -1, '-1', 'WITHSCORES')
    expect(Number(last[1])).toBeLessThan(2 ** 31 + 100)
    const ran: string[] = []
    const worker = work(({ data }) => Promise.resolve(void ran.push(data as string)))
    await until(() => ran.length === 6)
    expect(ran).toEqual(['big', 'b', 'c', 'big', 'b', 'big'])
    await worker.close()
    await kernel.start()
    await add('d')
    await until(async () => (await turns()).length === 1)
  })
})
