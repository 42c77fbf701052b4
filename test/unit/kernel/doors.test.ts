import { describe, expect, it } from 'vitest'
import { createTestKernel } from '../../../testing/index.ts'

const failureOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'no failure',
    (error: unknown) => error,
  )

describe('enqueue', () => {
  it.each([
    ['nothing', undefined],
    ['null', null],
    ['a number', 5],
    ['an array', ['mail']],
    ['an object without an address', {}],
    ['the id in an object', { id: 'mail' }],
    ['a queue without a name', { queue: 'mail' }],
    ['a queue that is a number', { queue: 5, name: 'mail' }],
    ['an empty queue', { queue: '', name: 'mail' }],
  ])('refuses %s as what to enqueue, and stores nothing', async (_what, target) => {
    await using test = await createTestKernel({ workers: { mail: () => 'sent' } })
    const { kernel } = test
    expect(await failureOf(kernel.enqueue(target as never, undefined as never))).toMatchObject({
      code: 'OPTION_INVALID',
    })
    expect(await failureOf(kernel.enqueueMany([{ worker: target as never }]))).toMatchObject({ code: 'OPTION_INVALID' })
    expect(await kernel.port('queue').getJobs()).toEqual([])
  })

  it.each([
    ['a delay in words', { delay: '5s' }],
    ['no delay', { delay: null }],
    ['a delay that never ends', { delay: Infinity }],
    ['a date that is none', { delay: new Date('oops') }],
    ['an id that is too long', { id: 'x'.repeat(3000) }],
    ['half a character', { id: '\ud800' }],
    ['more attempts than there are numbers', { attempts: 3e9 }],
    ['a key with NUL', { concurrencyKey: 'a\0b' }],
    ['a run id that is a number', { runId: 5 }],
    ['a key of three thousand bytes', { debounce: { delay: 5, key: 'x'.repeat(3000) } }],
    ['a client that is none', { db: {} }],
  ])('refuses %s with a code', async (_what, options) => {
    await using test = await createTestKernel({ workers: { mail: () => 'sent' } })
    const { kernel } = test
    const refused = expect.objectContaining({ code: expect.stringMatching(/^OPTION_/) })
    expect(await failureOf(kernel.enqueue('mail', 1, options as never))).toEqual(refused)
    expect(await failureOf(kernel.enqueueMany([{ worker: 'mail', options: options as never }]))).toEqual(refused)
    expect(await kernel.port('queue').getJobs()).toEqual([])
  })

  it.each([null, 5, 'fast'])('rejects %s as options', async (options) => {
    await using test = await createTestKernel({ workers: { mail: () => 'sent' } })
    expect(await failureOf(test.kernel.enqueue('mail', 1, options as never))).toMatchObject({ code: 'OPTION_INVALID' })
  })

  it('suggests the option that was probably meant', async () => {
    await using test = await createTestKernel({ workers: { mail: () => 'sent' } })
    expect(await failureOf(test.kernel.enqueue('mail', 1, { atempts: 3 } as never))).toMatchObject({
      code: 'OPTION_INVALID',
      message: expect.stringContaining('Did you mean "attempts"?'),
    })
  })

  it.each([
    ['id', 'x'.repeat(600)],
    ['queue', ''],
    ['name', '\0'],
    ['priority', NaN],
    ['runAt', Infinity],
  ])('refuses a job whose %s a hook has spoilt', async (member, value) => {
    await using test = await createTestKernel({ workers: { mail: () => 'sent' } })
    const { kernel } = test
    kernel.hook('enqueue', ({ job }, next) => {
      Object.assign(job, { [member]: value })
      return next()
    })
    expect(await failureOf(kernel.enqueue('mail'))).toMatchObject({ code: 'OPTION_INVALID' })
    expect(await kernel.port('queue').getJobs()).toEqual([])
  })
})

describe('enqueueMany', () => {
  it('runs code after next() once all jobs are stored', async () => {
    await using test = await createTestKernel({ workers: { mail: () => 'sent' } })
    const { kernel } = test
    const seen: unknown[] = []
    kernel.hook('enqueue', async (payload, next) => {
      await next()
      const { queue, id } = payload.job
      seen.push([(await kernel.port('queue').getJob(queue, id))?.id === id, payload.result?.id === id, payload.batch])
    })
    await kernel.enqueueMany([{ worker: 'mail' }, { worker: 'mail' }])
    expect(seen).toEqual([
      [true, true, true],
      [true, true, true],
    ])
  })

  it('rejects next() of every job of a batch if one job is rejected, and stores none', async () => {
    await using test = await createTestKernel({ workers: { mail: () => 'sent' } })
    const { kernel } = test
    const seen: unknown[] = []
    kernel.hook('enqueue', async (payload, next) => {
      if (payload.job.data === 'bad') return void (payload.veto = 'it is bad')
      try {
        await next()
      } catch (error) {
        seen.push(error)
        throw error
      }
    })
    const failure = await failureOf(
      kernel.enqueueMany([
        { worker: 'mail', data: 'good' },
        { worker: 'mail', data: 'bad' },
      ]),
    )
    expect(failure).toMatchObject({ code: 'ENQUEUE_VETOED' })
    expect(seen).toEqual([failure])
    expect(await kernel.port('queue').getJobs()).toEqual([])
  })

  it('stores the jobs that no hook holds back', async () => {
    await using test = await createTestKernel({ workers: { mail: () => 'sent' } })
    const { kernel } = test
    kernel.hook('enqueue', (payload, next) => {
      if (payload.job.data !== 'known') return next()
      const { queue, name, runId } = payload.job
      payload.result = { id: 'there', runId, queue, name, deduplicated: true }
    })
    const jobs = await kernel.enqueueMany([
      { worker: 'mail', data: 'known' },
      { worker: 'mail', data: 'new' },
    ])
    expect(jobs).toMatchObject([{ id: 'there', deduplicated: true }, { deduplicated: false }])
    expect(await kernel.port('queue').getJobs()).toMatchObject([{ data: 'new' }])
    expect(await kernel.enqueueMany([])).toEqual([])
  })
})

describe('ctx.defer', () => {
  it.each([
    ['NaN', { delay: NaN }],
    ['Infinity', { delay: Infinity }],
    ['a number no date can hold', { delay: 1e300 }],
    ['text', { delay: '5s' }],
    ['an invalid date', { until: new Date('oops') }],
    ['a date no store can hold', { until: 1e300 }],
    ['an option that nobody knows', { dealy: 5 }],
    ['nothing', undefined],
  ])('refuses %s, and the attempt fails with the reason', async (_what, options) => {
    await using test = await createTestKernel({ workers: { later: (_job, ctx) => ctx.defer(options as never) } })
    const job = await test.kernel.enqueue('later')
    await expect(test.kernel.result(job)).rejects.toMatchObject({ code: 'OPTION_INVALID' })
  })
})

describe('a backoff that overflows', () => {
  it('lets the next attempt run at once', async () => {
    let attempts = 0
    await using test = await createTestKernel({
      workers: {
        tries: () => {
          attempts++
          throw new Error('not yet')
        },
      },
    })
    const backoff = { type: 'exponential', delay: 0 } as const
    const job = await test.kernel.enqueue('tries', 1, { attempts: 1100, backoff })
    await test.drain()
    expect(attempts).toBe(1100)
    await expect(test.kernel.result(job)).rejects.toThrow('not yet')
  })
})

describe('ctx.emit', () => {
  it.each([
    ['a type that is a number', [5]],
    ['an empty type', ['']],
    ['a key that is a number', ['seen', 1, { key: 5 }]],
    ['a key with NUL', ['seen', 1, { key: '\0' }]],
    ['a key of three thousand bytes', ['seen', 1, { key: 'x'.repeat(3000) }]],
  ])('refuses %s', async (_what, args) => {
    await using test = await createTestKernel({
      workers: {
        emits: async (_job, ctx) => {
          await ctx.emit(...(args as [string]))
        },
      },
    })
    const job = await test.kernel.enqueue('emits')
    await expect(test.kernel.result(job)).rejects.toMatchObject({ code: 'OPTION_INVALID' })
  })

  it('rejects events that a hook has made invalid', async () => {
    await using test = await createTestKernel()
    const { kernel } = test
    kernel.hook('emit', ({ events }, next) => {
      for (const event of events) event.key = 5 as never
      return next()
    })
    expect(await failureOf((async () => kernel.emit('stream', [{ type: 'seen' }]))())).toMatchObject({
      code: 'OPTION_INVALID',
    })
  })
})

describe('a key of the limit', () => {
  it('passes every check, even if plugins derive longer names from it', async () => {
    const long = 'k'.repeat(512)
    await using test = await createTestKernel()
    const { kernel } = test
    const ran: unknown[] = []
    await kernel.registerWorker({
      id: 'entry',
      config: { flow: { name: long, role: 'entry', step: long } },
      handler: () => 1,
    })
    await kernel.registerWorker({
      id: 'fails',
      config: { deadLetter: 'dead' },
      handler: () => {
        throw new Error('always')
      },
    })
    await kernel.registerWorker({
      id: 'listens',
      config: { trigger: { type: 'event', event: long } },
      handler: ({ data }) => void ran.push(data),
    })
    await kernel.start()
    const { runId } = await kernel.flow(long).start(1, { id: long, tags: [long] })
    await kernel.enqueue('fails', 1, { id: long, runId: long.replace('k', 'j') })
    await kernel.sendEvent(long, 'heard', { id: long, key: long })
    await test.drain()
    expect(await kernel.flow(long).result(runId)).toBe(1)
    expect(await kernel.port('queue').getJobs({ queue: 'dead' })).toHaveLength(1)
    expect(ran).toEqual(['heard'])
    expect(await kernel.flow(long).cancel(runId)).toBe(false)
  })
})

describe('flow().start and sendEvent', () => {
  it.each([
    ['an option that nobody knows', { idd: 'once' }],
    ['an option of jobs', { delay: 5 }],
    ['an id that is a number', { id: 7 }],
    ['null', null],
  ])('refuse %s', async (_what, options) => {
    await using test = await createTestKernel()
    const { kernel } = test
    await kernel.registerWorker({ id: 'entry', config: { flow: { name: 'f', role: 'entry' } }, handler: () => 1 })
    const refused = expect.objectContaining({ code: 'OPTION_INVALID' })
    expect(await failureOf(kernel.flow('f').start(1, options as never))).toEqual(refused)
    expect(await failureOf(kernel.sendEvent('happened', 1, options as never))).toEqual(refused)
    expect(await kernel.port('queue').getJobs()).toEqual([])
  })

  it.each([['customer', 7], 'customer', [''], ['a\0']])('reject %j as tags', async (...tags) => {
    await using test = await createTestKernel()
    const { kernel } = test
    await kernel.registerWorker({ id: 'entry', config: { flow: { name: 'f', role: 'entry' } }, handler: () => 1 })
    expect(
      await failureOf(kernel.flow('f').start(1, { tags: tags.length === 1 ? tags[0] : tags } as never)),
    ).toMatchObject({
      code: 'OPTION_INVALID',
    })
  })

  it('say that a store has no transactions', async () => {
    await using test = await createTestKernel()
    const { kernel } = test
    await kernel.registerWorker({ id: 'entry', config: { flow: { name: 'f', role: 'entry' } }, handler: () => 1 })
    const db = { query: async () => ({ rows: [] }) }
    const refused = expect.objectContaining({ code: 'OPTION_UNSUPPORTED' })
    expect(await failureOf(kernel.flow('f').start(1, { db }))).toEqual(refused)
    expect(await failureOf(kernel.sendEvent('happened', 1, { db }))).toEqual(refused)
  })
})
