import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { definePlugin, type WorkerConfig } from '../../../kernel/index.ts'
import type { QueryContext, UpdateCheck, UpdateContext } from '../../../plugins/flow/run-messages/index.ts'
import { createTestKernel, type TestKernel, type TestWorker } from '../../../testing/index.ts'
import { dyingAt } from '../../property/dying.ts'

const state = z.object({ items: z.array(z.string()).default([]), address: z.string(), shipped: z.boolean() })
type Seen = typeof state

const entry = {
  attempts: 3,
  flow: { name: 'order', role: 'entry' },
  state,
  queries: {
    total: ({ state: { items } }: QueryContext<Seen>) => items.length,
    about: {
      input: z.string().min(2),
      run: ({ input, runId, status }: QueryContext<Seen, string>) => [input, runId, status],
    },
    broken: () => {
      throw new Error('no such table')
    },
    never: () => new Promise(() => {}),
    hostile: () => () => 1,
    changing: (context: QueryContext<Seen>) => ((context.state as { address?: string }).address = 'changed'),
  },
  updates: {
    address: {
      input: z.object({ street: z.string() }),
      validate: ({ state: { shipped } }: UpdateCheck<Seen>) => (shipped ? 'It has been shipped.' : undefined),
      handler({ input, state: { address }, set }: UpdateContext<Seen, { street: string }>) {
        set({ address: input.street })
        return { before: address, now: input.street }
      },
    },
    add: {
      handler({ input, state: seen, set }: UpdateContext<Seen, string>) {
        set({ items: [...seen.items, input] })
        return seen.items.length
      },
    },
    ship: {
      handler({ set, emit, signal }: UpdateContext<Seen>) {
        set({ shipped: true })
        emit('shipped', { by: 'truck' })
        signal('done', 'now')
        return 'on its way'
      },
    },
    pack: { handler: ({ set }: UpdateContext<Seen>) => set({ shipped: true }) },
    mail: { handler: ({ emit }: UpdateContext<Seen>) => emit('shipped', 'by hand') },
    half: {
      handler({ set, emit }: UpdateContext<Seen>) {
        set({ address: 'half' })
        emit('shipped')
        throw new Error('out of stock')
      },
    },
    misspelt: { handler: ({ emit }: UpdateContext<Seen>) => emit('shiped') },
    refuses: { validate: () => false, handler: () => 1 },
    slow: { handler: () => new Promise(() => {}) },
    wrong: { handler: ({ set }: UpdateContext) => set({ address: 7 }) },
  },
} satisfies WorkerConfig

const mailed: unknown[] = []
const workers: Record<string, TestWorker> = {
  place: { config: entry, handler: async (_job, ctx) => ctx.step.waitForSignal('done') },
  mail: {
    config: { attempts: 3, flow: { name: 'order', role: 'step', subscribes: 'shipped' } },
    handler: ({ data }) => void mailed.push(data),
  },
}

async function begin(plugins: Parameters<typeof createTestKernel>[0] = {}) {
  const test = await createTestKernel({ workers, ...plugins })
  const flow = test.kernel.flow('order')
  const { runId } = await flow.start()
  return { test, flow, runId, [Symbol.asyncDispose]: () => test.close() }
}

async function typesOf(test: TestKernel, runId: string): Promise<string[]> {
  return (await test.events(runId)).map(({ type }) => type)
}

describe('queries', () => {
  it('respond before the run begins, while it runs and after it has ended', async () => {
    await using rig = await begin()
    const { test, flow, runId } = rig
    expect(await flow.query(runId, 'total')).toBe(0)
    await test.drain()
    await flow.update(runId, 'add', 'a book')
    expect(await flow.query(runId, 'total')).toBe(1)
    expect(await flow.query(runId, 'about', 'me')).toEqual(['me', runId, 'running'])
    expect(await flow.query(runId, 'changing')).toBe('changed')
    expect(await test.kernel.state(runId)).toEqual({ items: ['a book'] })
    await flow.signal(runId, 'done')
    await test.drain()
    expect(await flow.query(runId, 'about', 'me')).toEqual(['me', runId, 'completed'])
  })

  it('have errors with codes', async () => {
    await using rig = await begin()
    const { test, flow, runId } = rig
    await expect(flow.query(runId, 'totl')).rejects.toMatchObject({
      code: 'QUERY_UNKNOWN',
      message: expect.stringContaining('Did you mean "total"?') as string,
    })
    await expect(flow.query(runId, 'toString')).rejects.toMatchObject({ code: 'QUERY_UNKNOWN' })
    await expect(flow.query(7 as never, 'total')).rejects.toMatchObject({ code: 'OPTION_INVALID' })
    await expect(flow.query('missing', 'total')).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' })
    await expect(flow.query(runId, 'about', 'm')).rejects.toMatchObject({ code: 'VALIDATION_FAILED' })
    await expect(flow.query(runId, 'broken')).rejects.toMatchObject({
      code: 'QUERY_FAILED',
      cause: { message: 'no such table' },
    })
    await expect(flow.query(runId, 'hostile')).rejects.toMatchObject({ code: 'QUERY_FAILED' })
    const never = expect(flow.query(runId, 'never')).rejects.toMatchObject({ code: 'QUERY_FAILED' })
    await test.advance('6s')
    await never
  })
})

describe('updates', () => {
  it('change the run in one write, start steps and complete waits', async () => {
    await using rig = await begin()
    const { test, flow, runId } = rig
    await test.drain()
    expect(await flow.update(runId, 'address', { street: 'Main St 1' })).toEqual({ now: 'Main St 1' })
    expect(await flow.update(runId, 'ship')).toBe('on its way')
    await test.drain()
    expect(mailed.splice(0)).toEqual([{ by: 'truck' }])
    expect(await flow.status(runId)).toMatchObject({ status: 'completed' })
    expect(await test.kernel.state(runId)).toEqual({ address: 'Main St 1', shipped: true })
    await expect(flow.update(runId, 'ship')).rejects.toMatchObject({ code: 'RUN_ENDED' })
  })

  it('begin a run whose entry is still queued', async () => {
    await using rig = await begin()
    const { test, flow, runId } = rig
    await flow.update(runId, 'ship')
    await test.drain()
    expect(mailed.splice(0)).toHaveLength(1)
    expect(await flow.status(runId)).toMatchObject({ status: 'completed' })
  })

  it('leave nothing if they are refused or fail', async () => {
    await using rig = await begin()
    const { test, flow, runId } = rig
    await test.drain()
    await flow.update(runId, 'pack', undefined, { id: 'packing' })
    const before = await test.events(runId)
    const refusals = [
      [() => flow.update(runId, 'address', { street: 'Side St' }), 'UPDATE_REFUSED', 'It has been shipped.'],
      [() => flow.update(runId, 'refuses'), 'UPDATE_REFUSED', 'false'],
      [() => flow.update(runId, 'address', { street: 7 }), 'VALIDATION_FAILED', 'street'],
      [() => flow.update(runId, 'half'), 'UPDATE_FAILED', 'out of stock'],
      [() => flow.update(runId, 'misspelt'), 'UPDATE_FAILED', 'Did you mean "shipped"?'],
      [() => flow.update(runId, 'wrong'), 'UPDATE_FAILED', 'address'],
      [() => flow.update(runId, 'adress', {}), 'UPDATE_UNKNOWN', 'Did you mean "address"?'],
      [() => flow.update('missing', 'ship'), 'RUN_NOT_FOUND', 'missing'],
      [() => flow.update(runId, 'add', () => 1), 'VALUE_UNSUPPORTED', 'function'],
      [() => flow.update(runId, 'add', 'x', { id: 'packing' }), 'OPTION_INVALID', 'packing'],
      [() => flow.update(runId, 'add', 'x', { id: '' }), 'OPTION_INVALID', 'id'],
    ] as const
    for (const [call, code, text] of refusals) {
      await expect(call()).rejects.toMatchObject({ code, message: expect.stringContaining(text) as string })
    }
    const slow = expect(flow.update(runId, 'slow')).rejects.toMatchObject({ code: 'UPDATE_FAILED' })
    await test.clock.advance('6s')
    await slow
    const added = (await test.events(runId)).slice(before.length)
    expect(added.filter(({ type }) => /^(?:flow[.]updated|state|emit)/.test(type))).toEqual([])
  })

  it('run one after another, and once for each id', async () => {
    await using rig = await begin()
    const { test, flow, runId } = rig
    await test.drain()
    const ids = ['a', 'b', 'c', 'a', 'b', 'c']
    const responses = await Promise.all(ids.map((id) => flow.update(runId, 'add', id, { id })))
    expect(responses).toEqual([1, 2, 3, 1, 2, 3])
    expect(await test.kernel.state(runId)).toEqual({ items: ['a', 'b', 'c'] })
    expect((await typesOf(test, runId)).filter((type) => type === 'flow.updated')).toHaveLength(3)
  })

  it('are a part of forks', async () => {
    await using rig = await begin()
    const { test, flow, runId } = rig
    await test.drain()
    await flow.update(runId, 'pack', undefined, { id: 'packing' })
    await flow.update(runId, 'mail')
    await test.drain()
    const fork = await flow.fork(runId)
    await test.drain()
    expect(await test.kernel.state(fork.runId)).toEqual({ shipped: true })
    expect(await flow.update(fork.runId, 'pack', undefined, { id: 'packing' })).toBeUndefined()
    await flow.signal(fork.runId, 'done', 'of the fork')
    await test.drain()
    expect(await flow.status(fork.runId)).toMatchObject({ status: 'completed' })
    expect(await flow.status(runId)).toMatchObject({ status: 'running' })
    expect(mailed.splice(0)).toEqual(['by hand'])
    const steps = (await test.events(fork.runId)).filter(({ type }) => type === 'step.completed')
    expect(steps.map(({ step }) => step)).toEqual(['mail', 'place'])
  })

  it('take effect once although the process died around any write', async () => {
    for (const hook of ['emit', 'enqueue'] as const) {
      for (const when of ['before', 'after'] as const) {
        // Passages of the start of the run come first.
        for (const passage of [1, 2, 3, 4, 5, 6]) {
          const { plugin } = dyingAt(hook, passage, when)
          await using test = await createTestKernel({ workers, plugins: [plugin] })
          const flow = test.kernel.flow('order')
          const { runId } = await flow.start(undefined, { id: 'r' }).catch(() => flow.start(undefined, { id: 'r' }))
          await test.drain()
          const ship = (): Promise<unknown> => flow.update(runId, 'ship', undefined, { id: 'u' })
          const response = await ship().catch(ship)
          await test.advance('2m')
          const label = `${hook} ${passage} ${when}`
          expect([label, response]).toEqual([label, 'on its way'])
          const ended = (await test.events(runId)).filter(({ type }) => type === 'step.completed')
          expect([label, ...ended.map(({ step }) => step!).toSorted()]).toEqual([label, 'mail', 'place'])
          expect([label, (await flow.status(runId)).status]).toEqual([label, 'completed'])
          expect(await ship()).toBe('on its way')
        }
      }
    }
    mailed.length = 0
  })

  it('complete what follows although the process died right after the write and the caller does not retry', async () => {
    for (const job of ['mail', '_bus/deliver']) {
      let died = 0
      const plugin = definePlugin({
        name: 'dies',
        setup: (kernel) =>
          void kernel.hook('enqueue', (payload, next) => {
            if (payload.job.name === job && ++died === 1) throw new Error('died here')
            return next()
          }),
      })
      await using rig = await begin({ plugins: [plugin] })
      const { test, flow, runId } = rig
      await test.drain()
      await flow.update(runId, 'ship').catch(() => {})
      expect(died).toBe(1)
      await test.advance('10s')
      expect(mailed.splice(0)).toEqual([{ by: 'truck' }])
      expect(await flow.status(runId)).toMatchObject({ status: 'completed' })
    }
  })
})

it('refuses signals for runs that have ended, and for names of this package', async () => {
  await using rig = await begin()
  const { test, flow, runId } = rig
  await expect(flow.signal(runId, 'flow.ended')).rejects.toMatchObject({ code: 'NAME_RESERVED' })
  await expect(flow.signal('missing', 'done')).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' })
  await flow.signal(runId, 'done', 'x', { id: '1' })
  await test.drain()
  expect(await flow.result(runId)).toBe('x')
  await expect(flow.signal(runId, 'done')).rejects.toMatchObject({ code: 'RUN_ENDED' })
})

it('checks the definitions of workers', async () => {
  await using test = await createTestKernel()
  const { kernel } = test
  const flow = { name: 'f', role: 'entry' } as const
  await expect(kernel.registerWorker({ id: 'a', config: { queries: { q: () => 1 } } })).rejects.toMatchObject({
    code: 'OPTION_INVALID',
    message: expect.stringContaining('"flow"') as string,
  })
  const wrong = { flow, updates: { u: { handle: () => 1 } } } as unknown as WorkerConfig
  await expect(kernel.registerWorker({ id: 'a', config: wrong })).rejects.toMatchObject({ code: 'OPTION_INVALID' })
  const handler = (): void => {}
  await kernel.registerWorker({
    id: 'a',
    handler,
    config: { flow, queries: { q: { input: z.string(), run: () => 1 } } },
  })
  const second = { flow: { ...flow, role: 'step', subscribes: 'x' } as const, queries: { q: () => 2 } }
  await expect(kernel.registerWorker({ id: 'b', handler, config: second })).rejects.toMatchObject({
    code: 'FLOW_INVALID',
  })
  expect(kernel.flow('f').messages()).toEqual({
    queries: [{ name: 'q', input: expect.objectContaining({ type: 'string' }) as object }],
    updates: [],
  })
})
