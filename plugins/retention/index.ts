import { z } from 'zod'
import { definePlugin, type RunOutcome } from '../../kernel/index.ts'

const HOUR = 3_600_000
const OUTCOMES = ['completed', 'failed', 'cancelled'] as const

function bounds(age: number, count: number) {
  return z
    .strictObject({
      /** Milliseconds that ended runs and jobs are kept. */
      age: z.number().min(0).or(z.literal(Infinity)).default(age),
      /** How many are kept at most. */
      count: z.number().int().min(0).or(z.literal(Infinity)).default(count),
    })
    .prefault({})
}

/** Forgets ended runs and their jobs by age and number, for each outcome. Runs that have not ended stay. */
export default definePlugin({
  name: 'retention',
  requires: ['queue', 'events'],
  options: z.strictObject({
    completed: bounds(HOUR, 10_000),
    failed: bounds(7 * 24 * HOUR, 100_000),
    cancelled: bounds(7 * 24 * HOUR, 100_000),
    /** A sweep follows each time this many runs of one outcome have ended in this process. */
    sweepEvery: z.number().int().min(1).default(100),
    /** Milliseconds between sweeps by time; 0 for none. */
    sweepInterval: z.number().min(0).default(60_000),
  }),
  setup(kernel, options) {
    /** Counted for each outcome, or a regular mix of them could always sweep the same one. */
    const ended = { completed: 0, failed: 0, cancelled: 0 }
    let stop: (() => void) | undefined
    let closed = false

    /** Awaits only what is not done at once, so that sweeping memory costs no turn. */
    async function sweep(outcomes: readonly RunOutcome[]): Promise<void> {
      for (const outcome of outcomes) {
        const { age, count } = options[outcome]
        const policy = { outcome, endedBefore: kernel.clock.now() - age, keep: count }
        await kernel.port('queue').clean(policy)
        await kernel.port('events').expire(policy)
      }
    }

    function sweepOrReport(outcomes: readonly RunOutcome[]): void {
      sweep(outcomes).catch((error: unknown) => {
        // One that was under way meets stores that close; what it left, the next process finds.
        if (!closed) kernel.reporter.warn('Retention could not sweep; it will try again.', error)
      })
    }

    function arm(): void {
      if (options.sweepInterval === 0) return
      stop = kernel.clock.setTimeout(() => {
        sweepOrReport(OUTCOMES)
        arm()
      }, options.sweepInterval)
    }

    kernel.hook(
      'emit',
      ({ options: { run } }, next) => {
        const outcome = run!.status as RunOutcome
        if (++ended[outcome] % options.sweepEvery === 0) sweepOrReport([outcome])
        return next()
      },
      { when: ({ options: { run } }) => run?.status !== undefined && run.status !== 'running' },
    )
    arm()
    return () => {
      closed = true
      stop?.()
    }
  },
})
