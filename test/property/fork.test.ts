import { describe, expect, it } from 'vitest'
import { definePlugin, type AnyPlugin, type EventStore, type PluginKernel } from '../../kernel/index.ts'
import { createTestKernel, type TestKernel, type TestWorker } from '../../testing/index.ts'

const PARTS = 700

/** More events than are copied in one append. */
const workers: Record<string, TestWorker> = {
  start: {
    config: { flow: { name: 'wide', role: 'entry' } },
    handler: async (_job, ctx) => {
      for (let n = 0; n < PARTS; n++) await ctx.flow.emit('part', n)
    },
  },
  part: {
    config: { concurrency: 100, flow: { name: 'wide', role: 'step', subscribes: 'part' } },
    handler: async ({ data }, ctx) => ctx.flow.emit('part.done', Number(data)),
  },
  sum: {
    config: { flow: { name: 'wide', role: 'step', subscribes: 'part.done', gather: 'part' } },
    handler: ({ data }) => (data as { 'part.done': number[] })['part.done'].reduce((sum, n) => sum + n, 0),
  },
}
const SUM = (PARTS * (PARTS - 1)) / 2

/** Fails the n-th append to a stream, before or after it is stored, like a process that dies there. */
function dyingAt(
  stream: string,
  append: number,
  when: 'before' | 'after',
): { plugin: AnyPlugin; appends: () => number } {
  let appends = 0
  const plugin = definePlugin({
    name: 'dies',
    enforce: 'post',
    setup(kernel) {
      const store = kernel.port('events')
      const original = store.append.bind(store)
      store.append = (async (name, ...rest) => {
        const dies = name === stream && ++appends === append
        if (dies && when === 'before') throw new Error('died here')
        const result = await original(name, ...rest)
        if (dies) throw new Error('died here')
        return result
      }) satisfies EventStore['append']
    },
  })
  return { plugin, appends: () => appends }
}

async function run(test: TestKernel): Promise<number> {
  await test.kernel.flow('wide').start(undefined, { id: 'run' })
  await test.drain()
  expect(await test.kernel.flow('wide').result('run')).toBe(SUM)
  return (await test.events('run')).length
}

describe('a fork whose process dies', () => {
  it('is completed by its carry job, and does not start before', async () => {
    for (const append of [1, 2, 3]) {
      for (const when of ['before', 'after'] as const) {
        const { plugin } = dyingAt('fork', append, when)
        await using test = await createTestKernel({ workers, plugins: [plugin] })
        const head = await run(test)
        // Either the caller receives the error, or the carry job does, which was enqueued earlier.
        await test.kernel
          .flow('wide')
          .fork('run', { at: head - 5, id: 'fork' })
          .catch(() => {})
        await test.advance('1m')
        expect(await test.kernel.flow('wide').result('fork'), `${append}, ${when}`).toBe(SUM)
        const events = await test.events('fork')
        expect(events.filter(({ type }) => type === 'step.completed')).toHaveLength(PARTS + 2)
        const copied = events.findIndex(({ type }) => type === 'flow.forked')
        const begun = events.findIndex(({ type, step }) => type === 'step.started' && step === 'sum')
        expect(begun).toBeGreaterThan(copied)
      }
    }
  })

  it('can be removed once its caller has the response', async () => {
    await using test = await createTestKernel({ workers })
    const head = await run(test)
    const { runId } = await test.kernel.flow('wide').fork('run', { at: head - 5 })
    await test.drain()
    expect(await test.kernel.flow('wide').result(runId)).toBe(SUM)
  })
})

describe('a fork that is half copied', () => {
  it('waits, even if it is continued, and can be cancelled', async () => {
    const emits: { emit?: PluginKernel['emit'] } = {}
    const seam = definePlugin({ name: 'seam', setup: (kernel) => void (emits.emit = kernel.emit) })
    await using test = await createTestKernel({ workers, plugins: [seam] })
    await run(test)
    const store = test.kernel.port('events')
    const [started] = await test.events('run')
    const data = { ...(started!.data as object), forkedFrom: { runId: 'run', at: 900 } }
    const draft = { type: 'flow.started', key: 'flow.started', flow: 'wide', stepId: 'half.start', data }
    await store.append('half', [draft], { run: { name: 'wide', flow: 'wide' } })
    // Other processes see the incomplete stream, and a new event makes the engine check it.
    await emits.emit!('half', [{ type: 'emit', flow: 'wide', step: 'start', stepId: 'half.start', data: {} }])
    await test.drain()
    expect(await test.events('half')).toHaveLength(2)
    expect(await test.kernel.flow('wide').cancel('half')).toBe(true)
    await test.kernel.flow('wide').fork('run', { id: 'half' })
    await test.drain()
    expect(await test.kernel.flow('wide').status('half')).toMatchObject({ status: 'cancelled' })
  })
})

describe('a fork of a run that has expired', () => {
  it('is abandoned if it is incomplete, and kept if it is complete', async () => {
    await using test = await createTestKernel({ workers })
    const fork = { runId: 'fork', from: 'gone', at: 3 }
    const early = await test.kernel.enqueue('_flow/carry', { runId: 'fork', fork })
    await expect(test.kernel.result(early)).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' })
    await test.kernel
      .port('events')
      .append('fork', [{ type: 'flow.forked', key: 'flow.forked', flow: 'wide', data: {} }])
    const late = await test.kernel.enqueue('_flow/carry', { runId: 'fork', fork })
    await expect(test.kernel.result(late)).resolves.toBeUndefined()
  })
})
