import { describe, expect, it, vi } from 'vitest'
import { createKernel, definePlugin, isQueueError, QueueError } from '../../../index.ts'
import { createKernel as createBareKernel } from '../../../kernel/index.ts'
import { createTestKernel, settled } from '../../../testing/index.ts'

const failureOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'no failure',
    (error: unknown) => error,
  )

describe('a handler', () => {
  it.each([
    ['a string', 'plain text', 'plain text'],
    ['an object', { reason: 'odd' }, "reason: 'odd'"],
    ['undefined', undefined, 'undefined'],
  ])('that throws %s fails with a message that shows it', async (_what, thrown, shown) => {
    await using test = await createTestKernel({
      workers: {
        odd: () => {
          throw thrown
        },
      },
    })
    const job = await test.kernel.enqueue('odd')
    await expect(test.kernel.result(job)).rejects.toMatchObject({
      code: 'HANDLER_FAILED',
      message: expect.stringContaining(shown),
    })
  })

  it('keeps name, message, stack, code and cause of its error', async () => {
    await using test = await createTestKernel({
      workers: {
        fails: async () => {
          throw Object.assign(new TypeError('outer', { cause: new Error('inner') }), { code: 'E_OUTER' })
        },
      },
    })
    const job = await test.kernel.enqueue('fails')
    await test.drain()
    const [, end] = await test.events(job.runId)
    expect(end).toMatchObject({
      type: 'step.failed',
      data: {
        error: {
          name: 'TypeError',
          message: 'outer',
          code: 'E_OUTER',
          stack: expect.stringContaining('errors.test.ts'),
          cause: { message: 'inner' },
        },
      },
    })
  })

  it('that never settles fails on timeout, keeps its slot, and its signal has the reason', async () => {
    let reason: unknown
    await using test = await createTestKernel({
      workers: {
        hangs: {
          config: { timeout: 5000, queue: 'q' },
          handler: (_job, { signal }) =>
            new Promise(() => signal.addEventListener('abort', () => (reason = signal.reason))),
        },
      },
    })
    const job = await test.kernel.enqueue('hangs')
    const next = await test.kernel.enqueue('hangs')
    await test.advance('4s')
    expect(await test.kernel.port('queue').getJobCounts('q')).toMatchObject({ active: 1, waiting: 1 })
    await test.advance('1s')
    await expect(test.kernel.result(job)).rejects.toMatchObject({
      code: 'JOB_TIMEOUT',
      message: expect.stringContaining('5000 ms'),
    })
    expect(isQueueError(reason, 'JOB_TIMEOUT')).toBe(true)
    expect(await test.kernel.port('queue').getJob('q', next.id)).toMatchObject({ state: 'waiting' })
  })

  it.each([
    ['a function', () => () => {}, /function/],
    ['a symbol in it', () => ({ deep: [Symbol('x')] }), /symbol at "result\.deep\.0"/],
    ['a class instance', () => new Map(), /Map/],
    [
      'a cycle',
      () => {
        const loop: Record<string, unknown> = {}
        loop.self = loop
        return loop
      },
      /refers to itself/,
    ],
    ['a BigInt64Array', () => ({ list: new BigInt64Array(2) }), /BigInt64Array at "result\.list"/],
  ])('that returns %s fails with a message that says what and where', async (_what, handler, message) => {
    await using test = await createTestKernel({ workers: { returns: handler } })
    await expect(test.kernel.result(await test.kernel.enqueue('returns'))).rejects.toMatchObject({
      code: 'VALUE_UNSUPPORTED',
      message: expect.stringMatching(message),
    })
  })

  it('fails at once for an error that is not retryable', async () => {
    let calls = 0
    await using test = await createTestKernel({
      workers: {
        hopeless: () => {
          calls++
          throw Object.assign(new Error('no such account'), { retryable: false })
        },
      },
    })
    await expect(test.kernel.result(await test.kernel.enqueue('hopeless', null, { attempts: 5 }))).rejects.toThrow(
      'no such account',
    )
    expect(calls).toBe(1)
  })
})

describe('names that mean something to JavaScript', () => {
  it.each(['__proto__', 'constructor', 'toString'])(
    '"%s" works as queue, job id, state key and in data',
    async (name) => {
      await using test = await createTestKernel()
      await test.kernel.registerWorker({
        id: name,
        config: { queue: name },
        async handler(job, ctx) {
          await ctx.state.set(name, { name })
          await ctx.state.setBatch({ [`${name}2`]: 1 })
          return [await ctx.state.get(name), await ctx.state.has(name), Object.keys(job.data as object)]
        },
      })
      const data = JSON.parse(`{"${name}": {"evil": true}, "n": 1}`) as unknown
      const job = await test.kernel.enqueue(name, data, { id: name })
      expect(await test.kernel.result(job)).toEqual([{ name }, true, [name, 'n']])
      const state = await test.kernel.state(job.runId)
      expect(Object.keys(state)).toEqual([name, `${name}2`])
      expect(await test.kernel.port('queue').getJob(name, name)).toMatchObject({ id: name, state: 'completed' })
      expect(({} as { evil?: unknown }).evil).toBeUndefined()
      expect(await failureOf(test.kernel.enqueue('toStrin'))).toMatchObject({ code: 'WORKER_UNKNOWN' })
    },
  )
})

describe('a kernel', () => {
  it('rejects two plugins of one name', async () => {
    const plugin = definePlugin({ name: 'twin', setup() {} })
    const error = await failureOf(createBareKernel({ plugins: [plugin, plugin] }))
    expect(error).toMatchObject({ code: 'PLUGIN_DUPLICATE', message: expect.stringContaining('"twin"') })
    const clash = definePlugin({ name: 'flow', setup() {} })
    expect(await failureOf(createTestKernel({ plugins: [clash] }))).toMatchObject({ code: 'PLUGIN_DUPLICATE' })
  })

  it('names the missing port and the available ports', async () => {
    const kernel = await createBareKernel()
    expect(() => kernel.port('events')).toThrow(/No plugin provides port "events".*Provided: nothing/)
    const needy = definePlugin({ name: 'needy', requires: ['limits'], setup() {} })
    expect(await failureOf(createBareKernel({ plugins: [needy] }))).toMatchObject({
      code: 'PLUGIN_REQUIRES',
      message: expect.stringMatching(/"needy" requires "limits"/),
    })
  })

  it('names both providers of one port', async () => {
    const second = definePlugin({ name: 'second', setup: (kernel) => kernel.provide('limits', {} as never) })
    const error = await failureOf(createTestKernel({ plugins: [second] }))
    const details = { port: 'limits', candidates: ['queue-memory', 'second'] }
    expect(error).toMatchObject({ code: 'PORT_DUPLICATE', plugin: 'second', details })
    expect(error).toMatchObject({ message: expect.stringContaining('"second"'), cause: { code: 'PORT_DUPLICATE' } })
  })

  it('names the plugin whose setup fails or takes too long, and tears down those before it', async () => {
    const undone: string[] = []
    const first = definePlugin({ name: 'first', setup: () => () => void undone.push('first') })
    const second = definePlugin({ name: 'second', setup: () => () => void undone.push('second') })
    const broken = definePlugin({ name: 'broken', setup: () => Promise.reject(new Error('no route')) })
    expect(await failureOf(createBareKernel({ plugins: [first, second, broken] }))).toMatchObject({
      code: 'PLUGIN_SETUP_FAILED',
      plugin: 'broken',
      message: expect.stringContaining('no route'),
    })
    expect(undone).toEqual(['second', 'first'])
    const stuck = definePlugin({ name: 'stuck', setup: () => new Promise<void>(() => {}) })
    expect(await failureOf(createBareKernel({ plugins: [stuck], config: { setupTimeout: 20 } }))).toMatchObject({
      code: 'PLUGIN_SETUP_TIMEOUT',
      plugin: 'stuck',
      message: expect.stringContaining('20 ms'),
    })
  })

  it('extends the setup timeout of a plugin and the plugins after it on request', async () => {
    const creates = definePlugin({
      name: 'creates',
      async setup(kernel) {
        await Promise.resolve()
        kernel.extendSetup(600_000)
        await vi.advanceTimersByTimeAsync(60_000)
      },
    })
    const fills = definePlugin({ name: 'fills', setup: () => void vi.advanceTimersByTime(60_000) })
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const kernel = await createBareKernel({ plugins: [creates, fills], config: { setupTimeout: 10 } }).finally(() =>
      vi.useRealTimers(),
    )
    await kernel.close()
    const asksForLess = definePlugin({
      name: 'less',
      setup: (kernel) => (kernel.extendSetup(1), new Promise(() => {})),
    })
    expect(await failureOf(createBareKernel({ plugins: [asksForLess], config: { setupTimeout: 20 } }))).toMatchObject({
      code: 'PLUGIN_SETUP_TIMEOUT',
      message: expect.stringContaining('20 ms'),
    })
  })

  it('tears down a plugin whose setup ends after its limit', async () => {
    const opened = Promise.withResolvers<void>()
    const undone = Promise.withResolvers<string>()
    const late = definePlugin({
      name: 'late',
      setup: async () => {
        await opened.promise
        return () => undone.resolve('undone')
      },
    })
    expect(await failureOf(createBareKernel({ plugins: [late], config: { setupTimeout: 20 } }))).toMatchObject({
      code: 'PLUGIN_SETUP_TIMEOUT',
    })
    opened.resolve()
    expect(await undone.promise).toBe('undone')
  })

  it('rejects values that are not plugins, and options that no plugin has', async () => {
    const factory = (() => {}) as never
    expect(await failureOf(createBareKernel({ plugins: [factory] }))).toMatchObject({ code: 'PLUGIN_INVALID' })
    const config: Record<string, object> = { memory: { maxQueueSizes: 5 } }
    expect(await failureOf(createTestKernel({ config }))).toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(/maxQueueSizes[^]*Its options are: maxQueueSize\./),
    })
    expect(await failureOf(createTestKernel({ config: { control: {} } }))).toMatchObject({ code: 'CONFIG_INVALID' })
  })

  it('rejects a payload of 50 MB with the maximum size', async () => {
    await using test = await createTestKernel({ workers: { big: () => null } })
    const payload = { text: 'x'.repeat(50 * 1024 * 1024) }
    expect(await failureOf(test.kernel.enqueue('big', payload))).toMatchObject({
      code: 'PAYLOAD_TOO_LARGE',
      message: expect.stringContaining('1048576 bytes'),
    })
    expect(await test.kernel.port('queue').getJobs()).toEqual([])
  })

  it('rejects jobs after it has closed', async () => {
    const test = await createTestKernel({ workers: { any: () => null } })
    await test.close()
    expect(await failureOf(test.kernel.enqueue('any'))).toMatchObject({ code: 'KERNEL_CLOSED' })
    expect(await failureOf(test.kernel.enqueueMany([{ worker: 'any' }]))).toMatchObject({ code: 'KERNEL_CLOSED' })
    expect(await test.kernel.close()).toEqual({ aborted: [] })
  })

  it('lists the known workers for an unknown worker', async () => {
    await using test = await createTestKernel({ workers: { hello: () => null, bye: () => null } })
    expect(await failureOf(test.kernel.enqueue('helo'))).toMatchObject({
      code: 'WORKER_UNKNOWN',
      message: expect.stringContaining('hello, bye'),
    })
    const job = await test.kernel.enqueue({ queue: 'default', name: 'nobody' })
    await test.advance('11m')
    await expect(test.kernel.result(job)).rejects.toMatchObject({ code: 'WORKER_UNKNOWN' })
  })

  it.each([
    ['attempts', 0],
    ['attempts', 1.5],
    ['delay', -1],
    ['delay', new Date('never')],
    ['priority', Number.NaN],
    ['timeout', 0],
    ['backoff', { type: 'linear', delay: 5 }],
    ['backoff', { type: 'fixed', delay: 5, jitter: 2 }],
    ['id', ''],
    ['deadLetter', 7],
    ['ageing', 0],
    ['debounce', { delay: '1s' }],
    ['throttle', { period: 10, max: 0 }],
  ])('refuses the job option %s of %s', async (option, value) => {
    await using test = await createTestKernel({ workers: { any: () => null } })
    expect(await failureOf(test.kernel.enqueue('any', null, { [option]: value }))).toMatchObject({
      code: 'OPTION_INVALID',
      details: { option },
    })
  })

  it('rejects an unknown job option and lists the known options', async () => {
    await using test = await createTestKernel({ workers: { any: () => null } })
    const options = { retries: 3 } as object
    expect(await failureOf(test.kernel.enqueue('any', null, options))).toMatchObject({
      code: 'OPTION_INVALID',
      message: expect.stringMatching(/unknown option "retries".*attempts, backoff/),
    })
  })
})

describe('closing during work', () => {
  it('waits for running jobs', async () => {
    const go = Promise.withResolvers<string>()
    const test = await createTestKernel({ workers: { slow: () => go.promise } })
    const job = await test.kernel.enqueue('slow')
    await settled()
    const closing = test.kernel.close({ timeout: 10_000 })
    go.resolve('done')
    expect(await closing).toEqual({ aborted: [] })
    expect((await test.events(job.runId)).map(({ type }) => type)).toEqual(['step.started', 'step.completed'])
  })

  it('then aborts the remaining jobs and names them', async () => {
    let reason: unknown
    const test = await createTestKernel({
      workers: {
        stubborn: (_job, { signal }) =>
          new Promise(() => signal.addEventListener('abort', () => (reason = signal.reason))),
        polite: (_job, { signal }) =>
          new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('stopped')))),
      },
      config: { abortGrace: 20 },
    })
    const jobs = [await test.kernel.enqueue('stubborn'), await test.kernel.enqueue('polite')]
    await settled()
    const { aborted } = await test.kernel.close({ timeout: 10 })
    expect(aborted.map(({ id }) => id).toSorted()).toEqual(jobs.map(({ id }) => id).toSorted())
    expect(isQueueError(reason, 'JOB_RELEASED')).toBe(true)
    expect(test.reports).toContainEqual(
      expect.objectContaining({ level: 'warn', message: expect.stringContaining('stubborn (id-1)') }),
    )
    const ends = await Promise.all(jobs.map(async ({ runId }) => (await test.events(runId)).map(({ type }) => type)))
    expect(ends).toEqual([['step.started'], ['step.started']])
  })

  it('lets a running job enqueue further jobs', async () => {
    const go = Promise.withResolvers<void>()
    const test = await createTestKernel()
    await test.kernel.registerWorker({
      id: 'parent',
      async handler(_job, { kernel }) {
        await go.promise
        await kernel.enqueue({ queue: 'elsewhere', name: 'child' })
      },
    })
    const job = await test.kernel.enqueue('parent')
    await settled()
    const closing = test.kernel.close()
    go.resolve()
    await closing
    expect(await test.kernel.port('events').byKey(job.runId, `end:${job.id}`)).toMatchObject({ type: 'step.completed' })
  })
})

it('QueueError carries code, cause and details', () => {
  const cause = new Error('x')
  const error = new QueueError('JOB_STATE', 'message', { cause, details: { id: 1 } })
  expect(error).toMatchObject({ name: 'QueueError', code: 'JOB_STATE', message: 'message', details: { id: 1 }, cause })
  expect(createKernel).toBeTypeOf('function')
})
