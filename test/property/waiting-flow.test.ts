import { describe, expect, it } from 'vitest'
import { definePlugin } from '../../kernel/index.ts'
import { createTestKernel, type TestKernel, type TestWorker } from '../../testing/index.ts'
import { dyingAt } from './dying.ts'

/** A flow with waits before, in and after a handler, a run of another flow, and a failure that is compensated. */
const workers: Record<string, TestWorker> = {
  place: {
    config: { flow: { name: 'order', role: 'entry' } },
    handler: async (job, ctx) => {
      await ctx.kernel.sendEvent('paid', 42, { id: job.runId, key: 'k' })
      await ctx.flow.emit('placed')
      return 'placed'
    },
  },
  ship: {
    config: {
      flow: { name: 'order', role: 'step', subscribes: 'placed' },
      awaitBefore: {
        any: [
          { type: 'event', event: 'paid', match: () => 'k' },
          { type: 'time', delay: 3_600_000 },
        ],
      },
      awaitAfter: { type: 'time', delay: 1000 },
    },
    handler: async (_job, ctx) => {
      const label = await ctx.flow.start('label', 'x', { wait: true })
      await ctx.step.sleep('nap', 1000)
      const weight = await ctx.step.run('weigh', () => 7)
      await ctx.state.set('shipped', { label, weight, paid: ctx.awaited?.payload })
      await ctx.flow.emit('shipped')
      return weight
    },
  },
  label: { config: { flow: { name: 'label', role: 'entry' } }, handler: (job) => `label ${String(job.data)}` },
  bill: {
    config: { flow: { name: 'order', role: 'step', subscribes: 'shipped', onError: 'compensate' } },
    handler: () => {
      throw Object.assign(new Error('no address'), { retryable: false })
    },
  },
  unship: {
    config: { flow: { name: 'order', role: 'compensation', compensates: 'ship' } },
    handler: async (job, ctx) => ctx.state.set('unshipped', (job.data as { result: unknown }).result),
  },
}

/** A failed write inside a handler fails the handler, and uses up one of these attempts. */
const config = { jobs: { attempts: 5 } }

async function outcome(test: TestKernel) {
  const { runId } = await test.kernel.flow('order').start(undefined, { id: 'run' })
  await test.advance('10m')
  const events = await test.events(runId)
  expect(events.map(({ seq }) => seq)).toEqual(events.map((_event, index) => index + 1))
  const [child] = await test.kernel.flow('label').runs()
  const steps = events.filter(({ type }) => type === 'step.completed').map(({ step }) => step!)
  const once = new Set(['step.resumed', 'step.memo', 'step.returned'])
  return {
    state: await test.kernel.state(runId),
    end: events
      .filter(({ type }) => /^flow\.(?:completed|failed|cancelled)$/.test(type))
      .map(({ type, data }) => {
        return { type, compensated: (data as { compensated: string[] }).compensated }
      }),
    child: child?.status,
    completed: steps.toSorted(),
    kept: events
      .filter(({ type }) => once.has(type))
      .map(({ type }) => type)
      .toSorted(),
  }
}

const expected = {
  state: { shipped: { label: 'label x', weight: 7, paid: 42 }, unshipped: 7 },
  end: [{ type: 'flow.failed', compensated: ['unship'] }],
  child: 'completed',
  completed: ['place', 'ship', 'unship'],
  kept: ['step.memo', 'step.resumed', 'step.resumed', 'step.resumed', 'step.resumed', 'step.returned'],
}

describe('a flow that waits, whose process dies between any two writes', () => {
  it.each(['emit', 'enqueue'] as const)('ends once and in the same state, at any point of %s', async (hook) => {
    const probe = dyingAt(hook, Infinity, 'before')
    await using undisturbed = await createTestKernel({ workers, config, plugins: [probe.plugin] })
    expect(await outcome(undisturbed)).toEqual(expected)
    // The first enqueue is made by the caller, who receives the error.
    const first = hook === 'enqueue' ? 2 : 1
    expect(probe.passages()).toBeGreaterThan(first + 3)
    for (let passage = first; passage <= probe.passages(); passage++) {
      for (const when of ['before', 'after'] as const) {
        const { plugin } = dyingAt(hook, passage, when)
        await using test = await createTestKernel({ workers, config, plugins: [plugin] })
        expect(await outcome(test), `${hook} ${passage}, ${when}`).toEqual(expected)
      }
    }
  })
})

it('cancels the runs that a run waits for although the cancelling process died right after', async () => {
  let died = false
  const dies = definePlugin({
    name: 'dies',
    enforce: 'post',
    setup(kernel) {
      kernel.hook('emit', async ({ events }, next) => {
        await next()
        if (died || !events.some(({ type }) => type === 'flow.cancelled')) return
        died = true
        throw new Error('died here')
      })
    },
  })
  await using test = await createTestKernel({
    plugins: [dies],
    workers: {
      outer: {
        config: { flow: { name: 'outer', role: 'entry' } },
        handler: (_job, ctx) => ctx.flow.start('inner', 1, { wait: true, id: 'child' }),
      },
      inner: {
        config: { flow: { name: 'inner', role: 'entry' }, awaitBefore: { type: 'event', event: 'never' } },
        handler: () => {},
      },
    },
  })
  const { kernel } = test
  const { runId } = await kernel.flow('outer').start()
  await test.drain()
  await expect(kernel.flow('outer').cancel(runId)).rejects.toThrow('died here')
  expect(await kernel.flow('inner').status('child')).toMatchObject({ status: 'running' })
  await test.advance('10s')
  expect(await kernel.flow('inner').status('child')).toMatchObject({ status: 'cancelled' })
})
