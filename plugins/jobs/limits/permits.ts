import { QueueError, type DispatchPayload, type Kernel, type Permit } from '../../../kernel/index.ts'
import type { PermitDemand } from './demands.ts'

/** Milliseconds between two sweeps for adapters of one process. For other adapters, the interval is a part of the lease. */
const MAX_SWEEP_INTERVAL = 5000
const LOCAL_SWEEP_INTERVAL = 15_000
/** Milliseconds after which a failed release is tried again. */
const RELEASE_RETRY_DELAY = 1000
/** How many sweeps follow the last use of a permit when no other process uses permits. */
const IDLE_SWEEPS = 3

/**
 * How long a job that waits for a permit keeps the permits that it has already taken, and after which part of this time it asks again, in
 * milliseconds.
 */
const KEPT_FOR = 60_000
const KEEP_INTERVAL = KEPT_FOR / 2
/** After this interval, a waiting job without permits asks again by itself, even if the list of waiters was lost. In milliseconds. */
export const RECHECK_DELAY = 15 * 60_000

/** A permit that could not be released, and until when the release is tried. */
type Owed = Permit & { until: number }

/**
 * Holds the permits of this process. Permits are renewed while their jobs run, released when the jobs end, and passed on to the next
 * waiter, whose job is then promoted. A periodic sweep, which all processes share, cleans up after dead processes: it finds lapsed permits,
 * and permits whose new owner was not woken.
 */
export function createPermits(kernel: Kernel, ttl: number) {
  const { lease } = kernel.port('queue')
  const every = Math.min(lease === undefined ? LOCAL_SWEEP_INTERVAL : MAX_SWEEP_INTERVAL, (lease ?? ttl) / 3, ttl / 3)
  const held = new Map<Permit, DispatchPayload>()
  let pendingReleases: Owed[] = []
  let idle = 0
  let stop: (() => void) | undefined
  let looking = false
  /** The renewal in progress. It must not revive a permit that is released meanwhile. */
  let renewing: Promise<void> | undefined
  let started = false
  let closed = false

  function arm(delay = pendingReleases.length > 0 ? Math.min(every, RELEASE_RETRY_DELAY) : every): void {
    if (looking || closed) return
    stop ??= kernel.clock.setTimeout(() => void look(), delay)
  }

  function use(): void {
    idle = 0
    arm()
  }

  async function look(): Promise<void> {
    stop = undefined
    looking = true
    try {
      renewing = renew()
      await renewing
      await settleDebts()
      if (started) for (const { key, holder } of await kernel.port('limits').sweep(every)) await wake(key, holder)
    } catch (error) {
      if (!closed)
        kernel.reporter.warn('Permits of concurrency keys could not be renewed or swept. This is tried again.', error)
    }
    renewing = undefined
    looking = false
    // Another process may have died.
    if (lease !== undefined || held.size > 0 || pendingReleases.length > 0 || idle++ < IDLE_SWEEPS) arm()
  }

  /** A handler that outlives its attempt has no lease and no permit, so its permit lapses. */
  async function renew(): Promise<void> {
    const running = [...held].flatMap(([permit, { ctx }]) => (ctx.cancelled ? [] : [permit]))
    if (running.length === 0) return
    for (const lost of await kernel.port('limits').renew(running, ttl)) {
      const message = `The permit of concurrency key "${lost.key}" lapsed, and another job has it. This job runs again.`
      held.get(lost)?.abort(new QueueError('JOB_RELEASED', message))
    }
  }

  async function settleDebts(): Promise<void> {
    const now = kernel.clock.now()
    const debts = pendingReleases.filter(({ until }) => until > now)
    pendingReleases = []
    for (const debt of debts) await giveBack(debt, debt.until)
  }

  /** Releases a permit. Never rejects: the job has run, and its permit lapses at the latest. */
  async function giveBack(permit: Permit, until = kernel.clock.now() + ttl): Promise<void> {
    await renewing?.catch(() => {})
    try {
      const handed = await kernel.port('limits').release(permit.key, permit.holder, permit.claim)
      for (const holder of handed) await wake(permit.key, holder)
    } catch (error) {
      if (closed) return
      kernel.reporter.warn(
        `A permit of concurrency key "${permit.key}" could not be released. This is tried again.`,
        error,
      )
      pendingReleases.push({ ...permit, until })
      stop?.()
      stop = undefined
      arm()
    }
  }

  /** Wakes the job that received a permit. If the job has ended, passes the permit on. */
  async function wake(key: string, holder: string): Promise<void> {
    const job = jobOf(holder)
    if (job) {
      const queue = kernel.port('queue')
      if (await queue.promote(job.queue, job.id)) return
      const record = await queue.getJob(job.queue, job.id)
      if (record && record.finishedAt === undefined) return
    }
    // Releases the permit only if it has not been taken. A claim that has taken it in the meantime keeps it.
    for (const next of await kernel.port('limits').release(key, holder, 0)) await wake(key, next)
  }

  return {
    /** Starts to sweep, because other processes may have left permits. */
    start(): void {
      if (started) return
      started = true
      if (kernel.port('queue').capabilities.durable) arm(0)
    },
    /**
     * Runs a job within permits. If the job has to wait for one, returns that permit and the milliseconds after which the job asks again by
     * itself. It keeps the earlier permits while it waits, so that jobs that ask in the same order never wait for each other.
     */
    async within(
      dispatch: DispatchPayload,
      demands: readonly PermitDemand[],
      run: () => Promise<void>,
    ): Promise<{ demand: PermitDemand; delay: number } | undefined> {
      const { job, ctx } = dispatch
      const taken: Permit[] = []
      use()
      try {
        for (const demand of demands) {
          const permit: Permit = { key: demand.key, max: demand.max, holder: holderOf(job), claim: ctx.claim }
          if (!(await kernel.port('limits').acquire(permit.key, permit.max, ttl, permit.holder, permit.claim))) {
            if (taken.length > 0) await kernel.port('limits').renew(taken, KEPT_FOR)
            return { demand, delay: taken.length > 0 ? KEEP_INTERVAL : RECHECK_DELAY }
          }
          taken.push(permit)
        }
      } catch (error) {
        for (const permit of taken) await giveBack(permit)
        throw error
      }
      for (const permit of taken) held.set(permit, dispatch)
      try {
        await run()
      } finally {
        for (const permit of taken) held.delete(permit)
        for (const permit of taken.toReversed()) await giveBack(permit)
      }
      return undefined
    },
    close(): void {
      closed = true
      stop?.()
    },
  }
}

/** Returns a key of limited length, because stores keep it in an index. */
function holderOf({ queue, id }: { queue: string; id: string }): string {
  return `${queue.length}:${queue}${id}`
}

/** Returns nothing for an owner of an earlier release, which checks again by itself. */
function jobOf(holder: string): { queue: string; id: string } | undefined {
  const length = /^(\d+):/.exec(holder)
  if (!length) return undefined
  const start = length[0].length
  const end = start + Number(length[1])
  return { queue: holder.slice(start, end), id: holder.slice(end) }
}
