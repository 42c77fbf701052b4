import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { backoffDelay } from '../../kernel/index.ts'
import { createTestKernel } from '../../testing/index.ts'

interface Plan {
  /** When it is enqueued, in milliseconds after the start. */
  at: number
  delay: number
  priority: number
  attempts: number
  /** The outcome of each claim, in order. Further claims succeed. */
  outcomes: ('throw' | 'defer')[]
  backoff: number
}

interface Start {
  job: number
  at: number
  attempt: number
}

const plan: fc.Arbitrary<Plan> = fc.record({
  at: fc.nat(50),
  delay: fc.oneof(fc.constant(0), fc.nat(100)),
  priority: fc.integer({ min: -2, max: 2 }),
  attempts: fc.integer({ min: 1, max: 4 }),
  outcomes: fc.array(fc.constantFrom<'throw' | 'defer'>('throw', 'defer'), { maxLength: 5 }),
  backoff: fc.nat(40),
})

/** Computes the attempts, the claims and the outcome of a job from its plan. */
function fate({ attempts, outcomes }: Plan): { claims: number; failures: number; state: 'completed' | 'failed' } {
  let failures = 0
  for (const [index, outcome] of outcomes.entries()) {
    if (outcome === 'throw' && ++failures === attempts) return { claims: index + 1, failures, state: 'failed' }
  }
  return { claims: outcomes.length + 1, failures, state: 'completed' }
}

describe('a queue', () => {
  it('runs every job as often as configured, never before it is due, and urgent jobs first', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(plan, { minLength: 1, maxLength: 12 }),
        fc.integer({ min: 1, max: 3 }),
        async (plans, concurrency) => {
          await using test = await createTestKernel()
          const { kernel, clock } = test
          const starts: Start[] = []
          const due = new Map<number, number>()
          let running = 0
          let most = 0
          await kernel.registerWorker({
            id: 'work',
            config: { concurrency },
            async handler({ data, attempt }, ctx) {
              const job = data as number
              const { outcomes, backoff } = plans[job]!
              const claim = starts.filter((start) => start.job === job).length
              starts.push({ job, at: clock.now(), attempt })
              most = Math.max(most, ++running)
              await Promise.resolve()
              running--
              const outcome = outcomes[claim]
              due.set(job, clock.now() + (outcome === 'throw' ? backoff : 7))
              if (outcome === 'throw') throw new Error('by plan')
              return outcome === 'defer' ? ctx.defer({ delay: 7 }) : 'done'
            },
          })
          const origin = clock.now()
          const byTime = plans.map((one, index) => ({ ...one, index })).toSorted((a, b) => a.at - b.at)
          for (const { at, delay, priority, attempts, backoff, index } of byTime) {
            await test.advance(origin + at - clock.now())
            due.set(index, clock.now() + delay)
            await kernel.enqueue('work', index, { id: `job-${index}`, delay, priority, attempts, backoff })
          }
          await test.advance('1h')

          for (const [index, one] of plans.entries()) {
            const { claims, failures, state } = fate(one)
            const record = await kernel.port('queue').getJob('work', `job-${index}`)
            const attemptsMade = state === 'failed' ? one.attempts : failures
            expect(record).toMatchObject({ state, claims, attemptsMade, crashes: 0 })
            const mine = starts.filter(({ job }) => job === index)
            expect(mine).toHaveLength(claims)
            expect(mine[0]!.at).toBeGreaterThanOrEqual(origin + one.at + one.delay)
            expect(mine.at(-1)!.attempt).toBe(state === 'failed' ? one.attempts : failures + 1)
          }
          expect(most).toBeLessThanOrEqual(concurrency)
          expect(await kernel.port('queue').getJobCounts('work')).toMatchObject({ waiting: 0, delayed: 0, active: 0 })
        },
      ),
      { numRuns: 60 },
    )
  })

  it('claims waiting jobs by priority, then in the order of arrival', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: -3, max: 3 }), { maxLength: 30 }), async (priorities) => {
        await using test = await createTestKernel()
        const order: number[] = []
        await test.kernel.registerWorker({
          id: 'work',
          config: { queue: 'q' },
          handler: ({ data }) => void order.push(data as number),
        })
        await test.kernel.port('queue').pause('q')
        for (const [index, priority] of priorities.entries()) await test.kernel.enqueue('work', index, { priority })
        await test.kernel.port('queue').resume('q')
        await test.drain()
        const expected = [...priorities.keys()].toSorted((a, b) => priorities[b]! - priorities[a]! || a - b)
        expect(order).toEqual(expected)
      }),
      { numRuns: 50 },
    )
  })

  it('loses no job when jobs are cancelled, removed, promoted and retried in any order', async () => {
    const step = fc.record({ what: fc.constantFrom('cancel', 'remove', 'promote', 'retry', 'tick'), job: fc.nat(7) })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        await using test = await createTestKernel({
          workers: { work: { config: { queue: 'q' }, handler: () => 'done' } },
        })
        const queue = test.kernel.port('queue')
        const removed = new Set<string>()
        await queue.pause('q')
        for (let job = 0; job < 8; job++)
          await test.kernel.enqueue('work', job, { id: `j${job}`, delay: job % 2 === 0 ? 50 : 0 })
        for (const { what, job } of steps) {
          const id = `j${job}`
          if (what === 'tick') await test.advance(10)
          else if (what === 'cancel') await queue.cancel('q', id)
          else if (what === 'promote') await queue.promote('q', id)
          else if (what === 'remove' && (await queue.remove('q', id))) removed.add(id)
          else if (what === 'retry')
            await Promise.resolve()
              .then(() => queue.retry('q', id))
              .catch(() => {})
        }
        await queue.resume('q')
        await test.advance('1m')
        const counts = await queue.getJobCounts('q')
        expect(counts).toMatchObject({ waiting: 0, delayed: 0, active: 0, failed: 0 })
        expect(counts.completed + counts.cancelled).toBe(8 - removed.size)
        expect((await queue.getJobs({ queue: 'q' })).map(({ id }) => id).toSorted()).toEqual(
          Array.from({ length: 8 }, (_, job) => `j${job}`).filter((id) => !removed.has(id)),
        )
      }),
      { numRuns: 60 },
    )
  })
})

describe('backoff', () => {
  it('stays between zero and its bounds', () => {
    const backoff = fc.record({
      type: fc.constantFrom('fixed' as const, 'exponential' as const),
      delay: fc.nat(10_000),
      maxDelay: fc.nat(100_000),
      jitter: fc.double({ min: 0, max: 1, noNaN: true }),
    })
    fc.assert(
      fc.property(
        backoff,
        fc.integer({ min: 1, max: 50 }),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        (options, attempt, random) => {
          const wait = backoffDelay(options, attempt, () => random)
          const full =
            options.type === 'fixed' ? options.delay : Math.min(options.delay * 2 ** (attempt - 1), options.maxDelay)
          expect(wait).toBeGreaterThanOrEqual(Math.floor(full * (1 - options.jitter)))
          expect(wait).toBeLessThanOrEqual(full)
        },
      ),
    )
  })
})
