import assert from 'node:assert/strict'
import { expect, it } from 'vitest'
import { chaos, type ChaosError, type ChaosFault, type ChaosOptions, type ChaosTest } from 'nuxt-queue/testing'
import type { Kernel, StoredEvent } from '../../kernel/index.ts'

/** Pays, waits until tomorrow, and sends a receipt. */
const paying: ChaosTest = (world) => ({
  workers: {
    order: async (job, ctx) => {
      await ctx.step.run('charge', () => world.effect('charge', job.data, { key: ctx.job.id }))
      await ctx.step.sleep('until tomorrow', 86_400_000)
      await ctx.step.run('receipt', () => world.effect('receipt', job.data, { key: ctx.job.id }))
    },
  },
  start: (kernel) => kernel.enqueue('order', 7, { attempts: 5 }),
  check: ({ effects }) =>
    assert.deepEqual(
      effects.map(({ name }) => name),
      ['charge', 'receipt'],
    ),
})

/** The same with a planted bug: the charge is outside of `ctx.step.run`. */
const chargingTwice: ChaosTest = (world) => ({
  ...paying(world),
  workers: {
    order: async (job, ctx) => {
      await world.effect('charge', job.data)
      await ctx.step.run('receipt', () => world.effect('receipt', job.data, { key: ctx.job.id }))
    },
  },
})

/** A scenario with one job, whose events `check` receives. */
function oneJob(work: () => unknown, check: (events: readonly StoredEvent[]) => void): ChaosTest {
  return () => ({
    workers: { work: { config: { attempts: 3 }, handler: work } },
    start: (kernel) => kernel.enqueue('work'),
    check: async ({ events, runs }) => check(await events(runs[0]!.runId)),
  })
}

async function errorOf(test: ChaosTest, options?: ChaosOptions): Promise<ChaosError> {
  return chaos(test, options).then(
    () => Promise.reject(new Error('No run failed.')),
    (error: ChaosError) => error,
  )
}

it('finds a charge outside of a sub-step, and prints the smallest schedule as a test that repeats it', async () => {
  const error = await errorOf(chargingTwice, { runs: 200 })
  expect(error.name).toBe('ChaosError')
  expect(error.run).toBeLessThanOrEqual(200)
  expect(error.schedule).toHaveLength(1)

  const [printed] = /await chaos\([^]*?\n {2}\}\)/.exec(error.message)!
  const AsyncFunction = (async () => {}).constructor as new (...code: string[]) => (...args: unknown[]) => Promise<void>
  const pasted = new AsyncFunction('chaos', 'chargingTwice', printed)
  const { message } = error.cause as Error
  await expect(pasted(chaos, chargingTwice)).rejects.toMatchObject({ schedule: error.schedule, cause: { message } })
  await chaos(paying, { schedule: error.schedule })
})

it('passes a handler whose effects have keys, and repeats exactly with the same seed', async () => {
  const first = await chaos(paying, { seed: 7, runs: 15 })
  expect(first.runs).toBe(15)
  expect(first.faults).toBeGreaterThan(7)
  expect(first.points).toEqual(
    expect.arrayContaining(['claim order', 'effect charge', 'append step.memo order charge']),
  )
  expect(await chaos(paying, { seed: 7, runs: 15 })).toEqual(first)
  expect((await chaos(paying, { seed: 8, runs: 15 })).fingerprint).not.toBe(first.fingerprint)
})

it('passes a flow with branches, a join and a child', async () => {
  const flow: ChaosTest = () => ({
    workers: {
      start: {
        config: { flow: { name: 'all', role: 'entry' }, attempts: 5 },
        handler: async (_job, ctx) => {
          for (const part of [1, 2]) await ctx.flow.emit('part', part)
        },
      },
      part: {
        config: { flow: { name: 'all', role: 'step', subscribes: 'part' }, attempts: 5 },
        handler: async (job, ctx) => {
          await ctx.state.set(`part-${String(job.data)}`, job.data)
          await ctx.flow.emit('done', job.data)
        },
      },
      end: {
        config: { flow: { name: 'all', role: 'step', subscribes: 'done', gather: 'part' }, attempts: 5 },
        handler: (_job, ctx) => ctx.state.set('ended', true),
      },
    },
    start: (kernel) => kernel.flow('all').start(undefined, { id: 'run' }),
    check: async ({ kernel, runs }) => {
      assert.equal(runs.length, 1)
      assert.deepEqual(await kernel.state('run'), { 'part-1': 1, 'part-2': 2, ended: true })
    },
  })
  const { points } = await chaos(flow, { runs: 15 })
  expect(points).toEqual(expect.arrayContaining(['enqueue part', 'enqueue end', 'append step.completed end']))
})

const claims = (events: readonly StoredEvent[]): unknown[] =>
  events.filter(({ type }) => type === 'step.started').map(({ data }) => (data as { claim: number }).claim)
const end = { at: 'append step.completed work', nth: 1 } as const

it.each<[ChaosFault, { claims: unknown[]; ms: number; types?: string[] }]>([
  [
    { fault: 'crash', ...end, when: 'before' },
    { claims: [1, 2], ms: 30_000 },
  ],
  // The log knows the end, so the second delivery starts no handler.
  [
    { fault: 'crash', ...end, when: 'after' },
    { claims: [1], ms: 0 },
  ],
  [
    { fault: 'duplicate', ...end, when: 'before', for: 40_000 },
    { claims: [1, 2], ms: 30_000 },
  ],
  [
    { fault: 'slow', ...end, when: 'before', for: 5000 },
    { claims: [1], ms: 5000 },
  ],
  [
    { fault: 'late', at: 'claim work', nth: 1, for: 700 },
    { claims: [1], ms: 700 },
  ],
  [
    { fault: 'skew', process: 2, by: -800 },
    { claims: [1], ms: 0 },
  ],
])('injects %o', async (fault, expected) => {
  const started = Date.UTC(2026, 0, 1)
  const report = await chaos(
    oneJob(
      () => 'done',
      (events) => {
        if (events.at(-1)!.ts === started && claims(events).length === 1 && expected.ms > 0) return
        assert.deepEqual(claims(events), expected.claims)
        assert.deepEqual(events.filter(({ type }) => type === 'step.completed').length, 1)
        assert.equal(events.at(-1)!.ts - started, expected.ms)
      },
    ),
    { schedule: [fault] },
  )
  expect(report.faults).toBe(1)
})

it('delivers a job again that could not be stored during an outage', async () => {
  let attempts = 0
  const outage = { fault: 'outage', ...end, when: 'after', for: 3000 } as const
  await chaos(
    oneJob(
      () => ++attempts,
      (events) => assert.equal(events.filter(({ type }) => type === 'step.completed').length, 1),
    ),
    { schedule: [outage] },
  )
  // Once without faults, and once with the outage, in which only the response of the store was lost.
  expect(attempts).toBe(2)
})

it('reports a run that does not end, one that ends otherwise, and a start that throws', async () => {
  const stuck = await errorOf(
    oneJob(
      () => new Promise(() => {}),
      () => {},
    ),
  )
  expect(stuck.message).toMatch(/failed \(stuck\).*"work" \(id-\d+\) is active/)
  expect(stuck.schedule).toEqual([])
  const failing = (): never => {
    throw new Error('no paper')
  }
  expect((await errorOf(oneJob(failing, () => {}))).message).toMatch(/failed \(outcome\).*expected completed.*no paper/)
  await chaos(() => ({ workers: { work: failing }, start: (kernel) => kernel.enqueue('work'), expect: 'failed' }), {
    runs: 5,
  })
  const start = (kernel: Kernel): Promise<unknown> => kernel.enqueue('unknown')
  expect((await errorOf(() => ({ workers: {}, start }))).message).toMatch(/failed \(error\).*unknown/)
})

it('says that a test depends on something that differs from run to run', async () => {
  let calls = 0
  const error = await errorOf(
    (world) => ({
      workers: { work: { config: { attempts: 2 }, handler: () => world.effect(++calls % 2 === 0 ? 'even' : 'odd') } },
      start: (kernel) => kernel.enqueue('work'),
      check: () => assert.ok(calls < 5),
    }),
    { runs: 20 },
  )
  expect(error.message).toContain('led to something else when it was repeated')
})

it('waits in virtual time, and passes events to waits', async () => {
  const approving: ChaosTest = (world) => ({
    workers: {
      order: async (_job, ctx) =>
        (await ctx.step.waitForEvent('approved', { event: 'approved', key: '7', timeout: 7_200_000 })) ?? 'too late',
    },
    async start(kernel) {
      await kernel.enqueue('order', undefined, { attempts: 5 })
      await world.sleep('1h')
      await kernel.sendEvent('approved', 'yes', { key: '7' })
    },
    check: ({ jobs }) =>
      assert.deepEqual(
        jobs.map(({ result }) => result),
        ['yes'],
      ),
  })
  await chaos(approving, { runs: 10 })
})

it('continues waits when the clocks of all processes are behind that of the store', async () => {
  const skew = [1, 2].map((process): ChaosFault => ({ fault: 'skew', process, by: -500 }))
  expect(await chaos(paying, { schedule: skew })).toMatchObject({ faults: 2 })
})

it('leaves nothing in the process, also if a worker is refused', async () => {
  const listeners = process.listenerCount('uncaughtException')
  await chaos(paying, { runs: 2 })
  await errorOf(chargingTwice)
  const refused: ChaosTest = (world) => ({
    ...paying(world),
    workers: { work: { config: { queue: '' }, handler() {} } },
  })
  await expect(chaos(refused)).rejects.toMatchObject({ name: 'QueueError' })
  expect(process.listenerCount('uncaughtException')).toBe(listeners)
})

it.each<[ChaosOptions, RegExp]>([
  [{ runs: 0 }, /"runs".*at least 1; got 0/],
  [{ processes: 1.5 }, /"processes".*got 1.5/],
  [{ faults: ['fire' as 'crash'] }, /crash, duplicate.*got fire/],
  [{ faults: [] }, /got an empty list/],
  [{ seed: Number.NaN }, /"seed".*got NaN/],
  [{ schedule: 'crash' as never }, /"schedule" of chaos\(\) must be an array; got "crash"/],
  [{ run: 5 } as ChaosOptions, /no option "run"\. It has: seed, runs/],
])('refuses %o', async (options, message) => {
  await expect(chaos(paying, options)).rejects.toThrow(message)
})

it('refuses a schedule that names a point which the run does not reach', async () => {
  const at = 'append step.complete'
  const message = /has not reached these points.*\n- "append step\.complete"/
  await expect(chaos(paying, { schedule: [{ fault: 'crash', at, nth: 1, when: 'before' }] })).rejects.toThrow(message)
})
