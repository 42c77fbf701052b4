import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { createTestKernel } from '../../../testing/index.ts'
import { definePlugin, type WorkerInput } from '../../../kernel/index.ts'

const failureOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'no failure',
    (error: unknown) => error,
  )

const register = async (config: unknown, more: object = {}): Promise<unknown> => {
  await using test = await createTestKernel()
  const { kernel } = test
  const before = kernel.registry.workers
  const failure = await failureOf(kernel.registerWorker({ id: 'w', config, handler: () => 1, ...more } as WorkerInput))
  expect(kernel.registry.workers).toEqual(before)
  return failure
}

describe('registerWorker', () => {
  it.each([
    ['atempts', { atempts: 3 }, 'attempts'],
    ['concurency', { concurency: 5 }, 'concurrency'],
    ['emit of a flow', { flow: { name: 'f', role: 'entry', emit: ['page'] } }, 'emits'],
    ['onerror of a flow', { flow: { name: 'f', role: 'step', subscribes: 'a', onerror: 'continue' } }, 'onError'],
    ['evnt of a wait', { awaitBefore: { type: 'event', event: 'a', evnt: 'a' } }, 'event'],
    ['evry of a schedule', { schedule: { every: 5, evry: 5 } }, 'every'],
    ['durtion of a rate limit', { rateLimit: { max: 1, duration: 5, durtion: 5 } }, 'duration'],
    ['siz of a batch', { batch: { size: 1, wait: 5, siz: 5 } }, 'size'],
  ])('names the option that %s was probably meant to be', async (_what, config, meant) => {
    expect(await register(config)).toMatchObject({ message: expect.stringContaining(`Did you mean "${meant}"?`) })
  })

  it.each([
    ['a delay, which belongs to a job', { delay: 60_000 }],
    ['an id', { id: 'x' }],
    ['a concurrency key', { concurrencyKey: 'all' }],
    ['retries of another library', { retries: 5 }],
    ['no job at a time', { concurrencyPerKey: 0 }],
    ['a limit in words', { concurrencyPerKey: 'x' }],
    ['an empty rate limit', { rateLimit: {} }],
    ['no start at all', { rateLimit: { max: 0, duration: 1000 } }],
    ['a span in words', { rateLimit: { max: 1, duration: '1m' } }],
    ['a span that goes back', { rateLimit: { max: 1, duration: -5 } }],
    ['a span without end', { rateLimit: { max: 1, duration: Infinity } }],
    ['a rate limit of another shape', { rateLimit: { limit: 5, per: 1000 } }],
    ['three billion attempts', { attempts: 3e9 }],
    ['a backoff in words', { backoff: '5s' }],
    ['a batch of none', { batch: { size: 0, wait: 5 } }],
    ['an unknown role', { flow: { name: 'f', role: 'boss' } }],
    ['a list where one event is gathered', { flow: { name: 'g', role: 'step', subscribes: 'x', gather: ['a', 'b'] } }],
    ['a debounced step', { flow: { name: 'f', role: 'entry' }, debounce: { delay: 5 } }],
    ['a throttled step', { flow: { name: 'f', role: 'entry' }, throttle: { period: 5 } }],
    ['an input that is no schema', { input: {} }],
    ['a state that is no schema of an object', { state: { '~standard': { validate() {} } } }],
    ['a process option that is none', { process: { reuse: 'x' } }],
    ['a program that is a number', { exec: { command: 5 } }],
    ['a flag of Node that is no list', { isolated: { execArgv: '--import' } }],
  ])('refuses %s, and leaves nothing behind', async (_what, config) => {
    expect(await register(config)).toMatchObject({ code: 'OPTION_INVALID' })
  })

  it.each([
    ['WAIT_INVALID', 'a wait for nothing', { awaitBefore: { any: [] } }],
    ['WAIT_INVALID', 'a wait that ended before it began', { awaitBefore: { type: 'time', delay: -1 } }],
    ['WAIT_INVALID', 'a wait for a time that is none', { awaitAfter: { type: 'time' } }],
    ['WAIT_INVALID', 'a wait of an unknown type', { awaitAfter: { type: 'weather' } }],
    ['WAIT_INVALID', 'a wait for no cron', { awaitAfter: { type: 'schedule', cron: 'soon' } }],
    ['SCHEDULE_INVALID', 'a schedule that is none', { schedule: {} }],
    ['SCHEDULE_INVALID', 'a schedule of no cron', { schedule: { cron: 'soon' } }],
    ['SCHEDULE_INVALID', 'a schedule of something else', { schedule: { every: 5, worker: 'other' } }],
    ['TRIGGER_INVALID', 'a trigger that is none', { trigger: {} }],
    ['WORKER_INVALID', 'a client message without a schema', { client: { token: 5 } }],
    ['WORKER_INVALID', 'an upcaster that is none', { upcast: { a: 5 } }],
    ['WORKER_INVALID', 'a queue that is a number', { queue: 5 }],
    ['WORKER_INVALID', 'a name of three thousand characters', { name: 'x'.repeat(3000) }],
    ['WORKER_INVALID', 'half a job at a time', { concurrency: 0.5 }],
    ['WORKER_INVALID', 'text as config', 'fast'],
    ['WORKER_INVALID', 'a list as config', []],
  ])('refuses with %s %s', async (code, _what, config) => {
    expect(await register(config)).toMatchObject({ code })
  })

  it.each([
    ['a concurrency beside the config', { concurrency: 5 }],
    ['a handler that is none', { handler: 'work' }],
    ['an id that is a number', { id: 5 }],
    ['an id with NUL', { id: 'a\0' }],
  ])('refuses %s', async (_what, more) => {
    expect(await register({}, more)).toMatchObject({ code: 'WORKER_INVALID' })
  })

  it('accepts the options that a plugin of the application declares, after validation', async () => {
    const region = definePlugin({
      name: 'region',
      workerOptions: {
        region(value, { id }) {
          if (!z.enum(['eu', 'us']).safeParse(value).success) throw new Error(`${id} is nowhere`)
        },
      },
      setup() {},
    })
    await using test = await createTestKernel({ plugins: [region] })
    const worker = (value: string): WorkerInput => ({ id: 'w', config: { region: value } as object, handler: () => 1 })
    expect(await failureOf(test.kernel.registerWorker(worker('mars')))).toMatchObject({ message: 'w is nowhere' })
    expect(await test.kernel.registerWorker(worker('eu'))).toMatchObject({ worker: { region: 'eu' } })
  })

  it('that fails keeps the worker that it should replace, with its schedule and its jobs', async () => {
    const ran: string[] = []
    const refuse = definePlugin({
      name: 'refuse',
      enforce: 'post',
      setup: (kernel) =>
        kernel.onWorkerStart(({ worker }) => {
          if (worker.attempts === 7) throw new Error('not seven')
        }),
    })
    await using test = await createTestKernel({
      plugins: [refuse],
      workers: { w: { config: { schedule: { every: 60_000 } }, handler: () => void ran.push('old') } },
    })
    const { kernel } = test
    const other: WorkerInput = {
      id: 'w',
      config: { queue: 'elsewhere', attempts: 7, schedule: { every: 1 } },
      handler: () => 1,
    }
    const before = kernel.registry.get('w')
    expect(await failureOf(kernel.registerWorker(other, { replace: true }))).toMatchObject({ message: 'not seven' })
    expect(kernel.registry.get('w')).toBe(before)
    expect(kernel.schedules()).toMatchObject([{ name: 'w', every: 60_000 }])
    await kernel.enqueue('w')
    await test.drain()
    expect(ran).toEqual(['old'])
    await test.advance(60_000)
    expect(ran).toEqual(['old', 'old'])
  })

  it('that is rejected does not affect later registrations', async () => {
    await using test = await createTestKernel({
      config: { triggers: { ok: { type: 'webhook', path: 'ok', verify: 'none' } } },
    })
    const { kernel } = test
    const bad = kernel.registerWorker({ id: 'bad', config: { trigger: {} as never }, handler: () => 1 })
    expect(await failureOf(bad)).toMatchObject({ code: 'TRIGGER_INVALID' })
    expect(await kernel.registerWorker({ id: 'good', handler: () => 1 })).toMatchObject({ id: 'good' })
    const request = new Request('http://localhost/_queue/triggers/ok', { method: 'POST' })
    expect((await kernel.webhooks.fetch(request)).status).toBe(202)
    expect(await failureOf(kernel.enqueue('bad'))).toMatchObject({ code: 'WORKER_UNKNOWN' })
  })

  it('removes the schedules of a worker that is removed', async () => {
    await using test = await createTestKernel({
      workers: { w: { config: { schedule: { every: 60_000 } }, handler: () => 1 } },
    })
    await test.kernel.unregisterWorker('w')
    expect(test.kernel.schedules()).toEqual([])
  })
})
