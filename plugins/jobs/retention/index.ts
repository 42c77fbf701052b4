import { z } from 'zod'
import { definePlugin, MAX_DURATION, type RunOutcome } from '../../../kernel/index.ts'

const HOUR = 3_600_000
/** The default of `minAge`, in leases of the queue. */
const LEASES = 8
const MINUTE = 60_000
const OUTCOMES = ['completed', 'failed', 'cancelled'] as const

function bounds(age: number, count: number) {
  return z
    .strictObject({
      /** Milliseconds that ended runs and jobs are kept. `Infinity`: no limit. */
      age: z.number().min(0).or(z.literal(Infinity)).default(age),
      /** The maximum number that is kept. Runs and jobs younger than `minAge` are kept in addition. `Infinity`: no limit. */
      count: z.number().int().min(0).or(z.literal(Infinity)).default(count),
    })
    .prefault({})
}

function defaultMinAge(lease: number | undefined): number {
  return lease === undefined ? 0 : Math.max(MINUTE, LEASES * lease)
}

/**
 * Removes ended runs and their jobs by age and number, for each outcome. Open runs stay. `count` removes nothing that is
 * younger than `minAge`. A shorter `age` takes precedence over `minAge`.
 */
export default definePlugin({
  name: 'retention',
  requires: ['queue', 'events'],
  options: z.strictObject({
    completed: bounds(HOUR, 10_000),
    failed: bounds(7 * 24 * HOUR, 100_000),
    cancelled: bounds(7 * 24 * HOUR, 100_000),
    /**
     * Milliseconds in which `count` removes nothing. It has to be at least several leases: a job whose
     * acknowledgement was lost is delivered again within a lease, and its recorded end keeps it from running twice.
     * Default: eight leases of the queue and at least a minute (240,000 with the default lease of 30 s), or 0 for
     * adapters with a single process, where no acknowledgement can be lost.
     */
    minAge: z.number().min(0).max(MAX_DURATION).optional(),
    /**
     * Milliseconds after the end of a job in which its id deduplicates, even if the job itself was removed. It applies
     * to ids that a caller passed, and to ids of runs and of webhook deliveries. 0: only as long as the job is kept.
     * Default: one hour.
     */
    deduplication: z.number().min(0).max(MAX_DURATION).default(HOUR),
    /** A sweep starts each time this many runs with the same outcome have ended in this process. */
    sweepEvery: z.number().int().min(1).default(100),
    /** Milliseconds between regular sweeps; 0 disables them. */
    sweepInterval: z.number().min(0).default(60_000),
  }),
  setup(kernel, options) {
    const minAge = options.minAge ?? defaultMinAge(kernel.port('queue').lease)
    /** Ended runs by outcome. With a single counter, a regular pattern of outcomes could always sweep the same outcome. */
    const ended = { completed: 0, failed: 0, cancelled: 0 }
    /** The outcomes to sweep next. */
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

    /** Runs one sweep at a time. On a slow store, concurrent sweeps would pile up and use all of its time. */
    async function sweepDue(): Promise<void> {
      sweeping = true
      for (const outcome of due) {
        due.delete(outcome)
        try {
          await sweep(outcome)
        } catch (error) {
          // A sweep may fail because the stores are closing. The next process sweeps the rest.
          if (!closed) kernel.reporter.warn('A sweep of retention failed. The next sweep tries again.', error)
        }
        if (closed) break
      }
      sweeping = false
    }

    function sweepSoon(outcomes: readonly RunOutcome[]): void {
      for (const outcome of outcomes) due.add(outcome)
      if (!sweeping) void sweepDue()
    }

    function scheduleSweep(): void {
      if (options.sweepInterval === 0) return
      stop = kernel.clock.setTimeout(() => {
        sweepSoon(OUTCOMES)
        scheduleSweep()
      }, options.sweepInterval)
    }

    kernel.hook(
      'emit',
      ({ options: { run } }) => {
        const outcome = run!.status as RunOutcome
        if (++ended[outcome] % options.sweepEvery === 0) sweepSoon([outcome])
      },
      { after: true, when: ({ options: { run } }) => run?.status !== undefined && run.status !== 'running' },
    )
    scheduleSweep()
    return () => {
      closed = true
      stop?.()
    }
  },
})
