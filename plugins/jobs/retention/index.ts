import { z } from 'zod'
import { definePlugin, MAX_DURATION, type RunOutcome } from '../../../kernel/index.ts'

const HOUR = 3_600_000
/** For how many leases of the queue nothing is forgotten by number, unless an option says otherwise. */
const LEASES = 8
const MINUTE = 60_000
const OUTCOMES = ['completed', 'failed', 'cancelled'] as const

function bounds(age: number, count: number) {
  return z
    .strictObject({
      /** Milliseconds that ended runs and jobs are kept. */
      age: z.number().min(0).or(z.literal(Infinity)).default(age),
      /** How many are kept at most, besides those that are younger than `minAge`. */
      count: z.number().int().min(0).or(z.literal(Infinity)).default(count),
    })
    .prefault({})
}

function defaultMinAge(lease: number | undefined): number {
  return lease === undefined ? 0 : Math.max(MINUTE, LEASES * lease)
}

/**
 * Forgets ended runs and their jobs by age and number, for each outcome. Runs that have not ended stay, and
 * so does what is younger than `minAge`, whatever its number. An `age` that is shorter than that holds all the same.
 */
export default definePlugin({
  name: 'retention',
  requires: ['queue', 'events'],
  options: z.strictObject({
    completed: bounds(HOUR, 10_000),
    failed: bounds(7 * 24 * HOUR, 100_000),
    cancelled: bounds(7 * 24 * HOUR, 100_000),
    /**
     * Milliseconds in which nothing is forgotten because of `count`. It has to be several leases at least: a job
     * whose acknowledgement was lost is handed out again within a lease, and has to find its end on record.
     * Default: eight leases of the queue and no less than a minute (240,000 with the default lease of 30 s), or 0
     * where there is only one process, and no acknowledgement that could be lost.
     */
    minAge: z.number().min(0).max(MAX_DURATION).optional(),
    /**
     * Milliseconds from the end of a job in which its id deduplicates, where a caller gave it: longer than the job
     * itself is kept, if need be, whatever the load. Ids of runs and of deliveries to webhooks count as well. 0 for no
     * longer than the job is kept. Default: one hour.
     */
    deduplication: z.number().min(0).max(MAX_DURATION).default(HOUR),
    /** A sweep follows each time this many runs of one outcome have ended in this process. */
    sweepEvery: z.number().int().min(1).default(100),
    /** Milliseconds between sweeps by time; 0 for none. */
    sweepInterval: z.number().min(0).default(60_000),
  }),
  setup(kernel, options) {
    const minAge = options.minAge ?? defaultMinAge(kernel.port('queue').lease)
    /** Counted for each outcome, or a regular mix of them could always sweep the same one. */
    const ended = { completed: 0, failed: 0, cancelled: 0 }
    /** What is to be swept next. */
    const due = new Set<RunOutcome>()
    let sweeping = false
    let stop: (() => void) | undefined
    let closed = false

    async function sweep(outcome: RunOutcome): Promise<void> {
      const { age, count } = options[outcome]
      const now = kernel.clock.now()
      const keepSince = minAge === 0 ? Infinity : now - minAge
      const policy = { outcome, endedBefore: now - age, keep: count, keepSince }
      await kernel.port('queue').clean({ ...policy, rememberFor: options.deduplication })
      await kernel.port('events').expire(policy)
    }

    /** One sweep at a time, whatever asks for more: on a slow store they would pile up, and take all of its time. */
    async function sweepDue(): Promise<void> {
      sweeping = true
      for (const outcome of due) {
        due.delete(outcome)
        try {
          await sweep(outcome)
        } catch (error) {
          // One that was under way meets stores that close; what it left, the next process finds.
          if (!closed) kernel.reporter.warn('Retention could not sweep; it will try again.', error)
        }
        if (closed) break
      }
      sweeping = false
    }

    function sweepSoon(outcomes: readonly RunOutcome[]): void {
      for (const outcome of outcomes) due.add(outcome)
      if (!sweeping) void sweepDue()
    }

    function arm(): void {
      if (options.sweepInterval === 0) return
      stop = kernel.clock.setTimeout(() => {
        sweepSoon(OUTCOMES)
        arm()
      }, options.sweepInterval)
    }

    kernel.hook(
      'emit',
      ({ options: { run } }, next) => {
        const outcome = run!.status as RunOutcome
        if (++ended[outcome] % options.sweepEvery === 0) sweepSoon([outcome])
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
