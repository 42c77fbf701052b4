import { describe, expect, it } from 'vitest'
import { createTestKernel, type TestKernel, type TestWorker } from '../../testing/index.ts'
import { dyingAt } from './dying.ts'

/** Fan-out over three, fan-in, a join of two branches, and a step that fails twice before it succeeds. */
const workers: Record<string, TestWorker> = {
  start: {
    config: { flow: { name: 'all', role: 'entry' } },
    handler: async (_job, ctx) => {
      for (const n of [1, 2, 3]) await ctx.flow.emit('part', n)
      await ctx.flow.emit('side', 'x')
    },
  },
  part: {
    config: { concurrency: 3, flow: { name: 'all', role: 'step', subscribes: 'part' } },
    handler: async (job, ctx) => {
      if (job.data === 2 && job.attempt < 3) throw new Error('not yet')
      await ctx.state.set(`part-${String(job.data)}`, job.data)
      await ctx.flow.emit('part.done', Number(job.data) * 10)
    },
  },
  gathered: {
    config: { flow: { name: 'all', role: 'step', subscribes: 'part.done', gather: 'part' } },
    handler: async (job, ctx) => {
      const parts = (job.data as { 'part.done': number[] })['part.done']
      await ctx.flow.emit(
        'sum',
        parts.reduce((sum, n) => sum + n, 0),
      )
    },
  },
  side: {
    config: { flow: { name: 'all', role: 'step', subscribes: 'side' } },
    handler: (job, ctx) => ctx.flow.emit('side.done', job.data),
  },
  joined: {
    config: { flow: { name: 'all', role: 'step', subscribes: ['sum', 'side.done'] } },
    handler: async (job, ctx) => {
      await ctx.state.set('joined', job.data)
      return job.data
    },
  },
}

/** A failed write inside a handler fails the handler, and uses up one of these attempts. */
const config = { jobs: { attempts: 5 } }

async function outcome(test: TestKernel): Promise<{ state: object; ends: string[]; completed: string[] }> {
  const { runId } = await test.kernel.flow('all').start(undefined, { id: 'run' })
  await test.advance('2m')
  const events = await test.events(runId)
  expect(events.map(({ seq }) => seq)).toEqual(events.map((_event, index) => index + 1))
  return {
    state: await test.kernel.state(runId),
    ends: events.filter(({ type }) => /^flow\.(?:completed|failed|cancelled)$/.test(type)).map(({ type }) => type),
    completed: events
      .filter(({ type }) => type === 'step.completed')
      .map(({ step }) => step!)
      .toSorted(),
  }
}

const expected = {
  state: { 'part-1': 1, 'part-2': 2, 'part-3': 3, joined: { sum: 60, 'side.done': 'x' } },
  ends: ['flow.completed'],
  completed: ['gathered', 'joined', 'part', 'part', 'part', 'side', 'start'],
}

describe('a flow whose process dies between any two writes', () => {
  it.each(['emit', 'enqueue'] as const)('ends once and in the same state, at any point of %s', async (hook) => {
    const probe = dyingAt(hook, Infinity, 'before')
    await using undisturbed = await createTestKernel({ workers, config, plugins: [probe.plugin] })
    expect(await outcome(undisturbed)).toEqual(expected)
    expect(probe.passages()).toBeGreaterThan(5)
    // The first enqueue is made by the caller, who receives the error.
    const first = hook === 'enqueue' ? 2 : 1
    for (let passage = first; passage <= probe.passages(); passage++) {
      for (const when of ['before', 'after'] as const) {
        const { plugin } = dyingAt(hook, passage, when)
        await using test = await createTestKernel({ workers, config, plugins: [plugin] })
        expect(await outcome(test), `${hook} ${passage}, ${when}`).toEqual(expected)
      }
    }
  })
})

describe('a flow', () => {
  it('runs once if it is started twice under one id', async () => {
    await using test = await createTestKernel({ workers })
    const [first, second] = await Promise.all(
      [1, 2].map(() => test.kernel.flow('all').start(undefined, { id: 'once' })),
    )
    expect([first!.runId, second!.runId]).toEqual(['once', 'once'])
    expect(first!.deduplicated).not.toBe(second!.deduplicated)
    await test.advance('1m')
    expect((await test.events('once')).filter(({ type }) => type === 'flow.started')).toHaveLength(1)
  })

  it('fails with a step whose schema rejects its data', async () => {
    const { z } = await import('zod')
    await using test = await createTestKernel()
    const flow = { name: 'strict' }
    await test.kernel.registerWorker({
      id: 'from',
      config: { flow: { ...flow, role: 'entry' } },
      handler: (_job, ctx) => ctx.flow.emit('next', 'text'),
    })
    await test.kernel.registerWorker({
      id: 'to',
      config: { input: z.number(), flow: { ...flow, role: 'step', subscribes: 'next' } },
      handler: () => {},
    })
    const { runId } = await test.kernel.flow('strict').start()
    await expect(test.kernel.flow('strict').result(runId)).rejects.toMatchObject({
      step: 'to',
      message: expect.stringContaining('expected number'),
    })
    expect(await test.kernel.flow('strict').status(runId)).toMatchObject({ status: 'failed' })
  })
})
