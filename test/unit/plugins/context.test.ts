import { describe, expect, it } from 'vitest'
import type { StreamMessage } from '../../../index.ts'
import { createTestKernel } from '../../../testing/index.ts'

describe('logger', () => {
  it('stores entries in order before the job completes, awaited or not', async () => {
    await using test = await createTestKernel()
    await test.kernel.registerWorker({
      id: 'logs',
      async handler(_job, { logger }) {
        void logger.debug('one')
        await logger.warn('two', { n: 2 })
        void logger.log('error', 'three')
      },
    })
    const job = await test.kernel.enqueue('logs')
    await test.kernel.result(job)
    const entries = (await test.events(job.runId)).filter(({ type }) => type === 'runner.log')
    expect(entries.map(({ data }) => data)).toEqual([
      { level: 'debug', message: 'one', meta: undefined },
      { level: 'warn', message: 'two', meta: { n: 2 } },
      { level: 'error', message: 'three', meta: undefined },
    ])
    expect((await test.events(job.runId)).at(-1)!.type).toBe('step.completed')
  })

  it('drops entries below its level, and stores nothing if it only prints', async () => {
    await using quiet = await createTestKernel({
      config: { logger: { level: 'warn' } },
      workers: { logs: (_job, ctx) => void ctx.logger.info('x') },
    })
    const job = await quiet.kernel.enqueue('logs')
    await quiet.kernel.result(job)
    expect(await quiet.events(job.runId)).toHaveLength(2)
  })
})

describe('progress', () => {
  it('is stored with the job and sent to followers of the run, but not stored as an event', async () => {
    await using test = await createTestKernel({
      workers: {
        works: async (_job, ctx) => {
          await ctx.progress(0.25)
          await ctx.progress(1, 'done')
        },
      },
    })
    const messages: StreamMessage[] = []
    const onMessage = (message: StreamMessage): void => void messages.push(message)
    await test.kernel.port('events').subscribe('run', { onMessage }, () => {})
    const job = await test.kernel.enqueue('works', null, { id: 'job', runId: 'run' })
    await test.kernel.result(job)
    expect(messages).toEqual([
      { type: 'progress', data: { jobId: 'job', step: 'works', value: 0.25, message: undefined } },
      { type: 'progress', data: { jobId: 'job', step: 'works', value: 1, message: 'done' } },
    ])
    expect(await test.kernel.port('queue').getJob('default', 'job')).toMatchObject({ progress: 1 })
    expect(await test.events('run')).toHaveLength(2)
  })

  it.each([
    [-0.1, 0],
    [1.1, 1],
    [Infinity, 1],
    [Number.NaN, undefined],
    ['half', undefined],
  ])('takes %s as %s, and never fails the job', async (value, stored) => {
    await using test = await createTestKernel({
      workers: { works: (_job, ctx) => ctx.progress(value as number, { odd: 'message' } as never) },
    })
    const job = await test.kernel.enqueue('works')
    await test.kernel.result(job)
    expect((await test.kernel.port('queue').getJob('default', job.id))!.progress).toBe(stored)
    expect(test.reports).toHaveLength(stored === undefined ? 1 : 0)
  })
})

describe('limits', () => {
  it('runs one job of a key at a time, claims each at most twice, and releases the permit of a cancelled job', async () => {
    let running = 0
    let most = 0
    await using test = await createTestKernel({
      workers: {
        keyed: {
          config: { concurrency: 50 },
          handler: async () => {
            most = Math.max(most, ++running)
            await new Promise(setImmediate)
            running--
          },
        },
      },
    })
    const jobs = await test.kernel.enqueueMany(
      Array.from({ length: 40 }, () => ({ worker: 'keyed', options: { concurrencyKey: 'tenant' } })),
    )
    await new Promise(setImmediate)
    await test.kernel.cancel(jobs[30]!)
    await test.drain()
    expect(most).toBe(1)
    const records = await test.kernel.port('queue').getJobs({ queue: 'keyed' })
    expect(records.filter(({ state }) => state === 'completed')).toHaveLength(39)
    expect(Math.max(...records.map(({ claims }) => claims))).toBeLessThanOrEqual(2)
  })

  it('starts no more jobs than the rate allows, urgent jobs first', async () => {
    const starts: [number, unknown][] = []
    await using test = await createTestKernel()
    const origin = test.clock.now()
    await test.kernel.registerWorker({
      id: 'rated',
      config: { concurrency: 10, rateLimit: { max: 2, duration: 1000 } },
      handler: (job) => void starts.push([test.clock.now() - origin, job.data]),
    })
    await test.kernel.port('queue').pause('rated')
    for (let n = 0; n < 6; n++) await test.kernel.enqueue('rated', n, { priority: n === 5 ? 1 : 0 })
    await test.kernel.port('queue').resume('rated')
    await test.advance('10s')
    expect(starts.map(([at]) => at)).toEqual([0, 0, 1000, 1000, 2000, 2000])
    expect(starts[0]![1]).toBe(5)
  })

  it('applies the rate to each key separately', async () => {
    const starts: Record<string, number[]> = { a: [], b: [] }
    await using test = await createTestKernel()
    const origin = test.clock.now()
    await test.kernel.registerWorker({
      id: 'rated',
      config: { concurrency: 10, rateLimit: { max: 1, duration: 1000 } },
      handler: (job) => void starts[job.data as string]!.push(test.clock.now() - origin),
    })
    for (const key of ['a', 'a', 'b', 'a', 'b']) await test.kernel.enqueue('rated', key, { rateLimitKey: key })
    await test.advance('10s')
    expect(starts).toEqual({ a: [0, 1000, 2000], b: [0, 1000] })
  })
})

describe('dead letters', () => {
  it('receive the job and its error once when it fails permanently', async () => {
    const letters: unknown[] = []
    await using test = await createTestKernel({
      workers: {
        fails: () => {
          throw new Error('for good')
        },
      },
    })
    await test.kernel.registerWorker({
      id: 'letters',
      config: { queue: 'dead', name: 'fails' },
      handler: (job) => void letters.push(job.data),
    })
    await test.kernel.enqueue('fails', { n: 1 }, { id: 'j', attempts: 2, deadLetter: 'dead' })
    await test.drain()
    expect(letters).toEqual([
      {
        ...{ queue: 'default', id: 'j', data: { n: 1 }, options: { attempts: 2, deadLetter: 'dead' }, priority: 0 },
        error: expect.objectContaining({ message: 'for good' }),
      },
    ])
  })
})
