import { describe, expect, it } from 'vitest'
import { definePlugin } from '../../../kernel/index.ts'
import { createTestKernel, type TestWorker } from '../../../testing/index.ts'
import { dyingAt } from '../../property/dying.ts'

it('ends a loop without a limit', async () => {
  const flow = { name: 'endless' }
  await using test = await createTestKernel({
    workers: {
      begin: { config: { flow: { ...flow, role: 'entry' } }, handler: (_job, ctx) => ctx.flow.emit('ping') },
      ping: {
        config: { flow: { ...flow, role: 'step', subscribes: 'ping' } },
        handler: (_job, ctx) => ctx.flow.emit('ping'),
      },
    },
  })
  const { runId } = await test.kernel.flow('endless').start()
  await test.drain()
  await expect(test.kernel.flow('endless').result(runId)).rejects.toMatchObject({
    step: 'ping',
    cause: { code: 'FLOW_LIMIT', message: expect.stringContaining('1000 emits') as string },
  })
  const ran = (await test.events(runId)).filter(({ type, step }) => type === 'step.completed' && step === 'ping')
  expect(ran).toHaveLength(1000)
})

it('starts emitted steps at once although the emitting process died before they were queued', async () => {
  const flow = { name: 'early' }
  const workers: Record<string, TestWorker> = {
    begin: {
      config: { attempts: 3, flow: { ...flow, role: 'entry' } },
      handler: (_job, ctx) => ctx.flow.emit('now', 1, { immediate: true }),
    },
    now: { config: { flow: { ...flow, role: 'step', subscribes: 'now' } }, handler: ({ data }) => data },
  }
  // The first enqueue is the start of the run.
  const { plugin } = dyingAt('enqueue', 2, 'before')
  await using test = await createTestKernel({ workers, plugins: [plugin] })
  const { runId } = await test.kernel.flow('early').start()
  await test.drain()
  const ran = (await test.events(runId)).filter(({ type }) => type === 'step.completed').map(({ step }) => step!)
  expect(ran.toSorted()).toEqual(['begin', 'now'])
  expect(await test.kernel.flow('early').status(runId)).toMatchObject({ status: 'completed' })
})

it('checks a run again although the previous check came before it had begun', async () => {
  const beginning = Promise.withResolvers<void>()
  const goOn = Promise.withResolvers<void>()
  const slow = definePlugin({
    name: 'slow-store',
    enforce: 'post',
    setup: (kernel) =>
      void kernel.hook('emit', async ({ events }, next) => {
        if (events.some(({ type }) => type === 'flow.started')) {
          beginning.resolve()
          await goOn.promise
        }
        await next()
      }),
  })
  const flow = { name: 'late', role: 'entry' } as const
  await using test = await createTestKernel({
    workers: { begin: { config: { flow }, handler: (_job, ctx) => ctx.defer({ delay: 60_000 }) } },
    plugins: [slow],
    config: { flow: { checkInterval: 1000 } },
  })
  await test.kernel.flow('late').start()
  await beginning.promise
  await test.advance(1500)
  goOn.resolve()
  await test.advance(1500)
  expect(await test.kernel.port('queue').getJobs({ queue: '_flow', states: ['delayed'] })).toHaveLength(1)
})

describe('a hook that replaces the list of events', () => {
  it.each(['pre', 'post'] as const)('leaves flows as they are, with enforce "%s"', async (enforce) => {
    const copies = definePlugin({
      name: 'copies',
      enforce,
      setup: (kernel) =>
        void kernel.hook('emit', (payload, next) => {
          payload.events = payload.events.map((event) => ({ ...event }))
          payload.options = { ...payload.options }
          return next()
        }),
    })
    await using test = await createTestKernel({
      plugins: [copies],
      workers: {
        entry: {
          config: { flow: { name: 'f', role: 'entry', emits: ['a'] } },
          handler: (_job, ctx) => ctx.flow.emit('a'),
        },
        fast: {
          config: { flow: { name: 'f', role: 'step', subscribes: 'a', emits: ['b'] } },
          handler: (_job, ctx) => ctx.flow.emit('b'),
        },
        slow: {
          config: { concurrency: 1, flow: { name: 'f', role: 'step', subscribes: 'a', emits: ['c'] } },
          handler: (_job, ctx) => new Promise((resolve) => ctx.signal.addEventListener('abort', resolve)),
        },
        first: {
          config: { flow: { name: 'f', role: 'step', subscribes: ['b', 'c'], join: 'any', losers: 'cancel' } },
          handler: () => 'joined',
        },
      },
    })
    const { runId } = await test.kernel.flow('f').start()
    expect(await test.kernel.flow('f').result(runId)).toBe('joined')
  })
})

it('notifies a run that began to wait while the end was being stored', async () => {
  const between = definePlugin({
    name: 'between-last-read-and-end',
    enforce: 'post',
    setup(kernel) {
      kernel.hook('emit', async ({ stream, events }, next) => {
        if (stream === 'inner-1' && events.some(({ type }) => type === 'flow.completed')) {
          const awaited = Promise.withResolvers<void>()
          await kernel.port('events').subscribe(stream, { after: 0 }, (stored) => {
            if (stored.some(({ type }) => type === 'flow.awaited')) awaited.resolve()
          })
          await kernel.flow('outer').start(undefined, { id: 'outer-1' })
          await awaited.promise
        }
        await next()
      })
    },
  })
  await using test = await createTestKernel({
    workers: {
      outer: {
        config: { flow: { name: 'outer', role: 'entry' } },
        handler: (_job, ctx) => ctx.flow.start('inner', 1, { id: 'inner-1', wait: true }),
      },
      inner: { config: { queue: 'inner', flow: { name: 'inner', role: 'entry' } }, handler: ({ data }) => data },
    },
    plugins: [between],
  })
  await test.kernel.flow('inner').start(7, { id: 'inner-1' })
  await test.drain()
  expect(await test.kernel.flow('outer').status('outer-1')).toMatchObject({ status: 'completed' })
  expect(await test.kernel.flow('outer').result('outer-1')).toBe(7)
})
