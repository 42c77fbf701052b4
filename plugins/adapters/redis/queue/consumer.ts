import { randomBytes } from 'node:crypto'
import { timerDelay, type Kernel, type Processor } from '../../../../kernel/index.ts'
import { defineScript, type RedisPort } from '../lib/redis.ts'
import type { Consumer } from '../../lib/worker-manager.ts'
import { createClockSkew } from './clock-skew.ts'
import { decodeClaimed } from './job-codec.ts'
import { PROGRESS, RECLAIM, RECOVER, RENEW } from './lease-scripts.ts'
import type { Listeners } from '../../lib/listeners.ts'
import { watchQueue } from './queue-outages.ts'
import type { Queues } from './queues.ts'
import { createOutcomes } from './outcomes.ts'
import { encodeBatch, type Claimed } from './settlement.ts'
import { SETTLE_AND_CLAIM } from './consumer-scripts.ts'
import { createWaker } from './waker.ts'

/** The maximum number of jobs that one call claims and settles, because a script blocks Redis. */
const MAX_CLAIMED = 50
const MAX_SETTLED = 500
/** How often to search for jobs whose lease has expired, in milliseconds. */
const RECLAIM_INTERVAL = 2000
/** The maximum number of jobs whose handler has succeeded and whose outcome is not stored yet. */
const MAX_ENDING = 1000
/** The maximum number of calls in flight. With two, neither Redis nor this process waits for the other. */
const MAX_CALLS = 2
/** The minimum number of settlements and claims that justify a second call. */
const MIN_SECOND_CALL = 8
/** How long to wait after a failed call, in milliseconds. */
const RETRY = 500

type Reply = [now: string, settled: string[], claimed: unknown[], hold: number, nextDue: string]

export interface RedisConsumer extends Consumer {
  /** Resolves once all settlements are stored. */
  flush(): Promise<void>
  stop(): void
}

/**
 * Creates the consumer of one queue. Each call to Redis stores the settlements of jobs that have ended, and claims jobs for free slots.
 *
 *     claimed ──> running ── handler returned ──> ending ── settleAndClaim ──> settled
 *                    │  (uses a slot)               (no slot if concurrency > 1)
 *                    └── lease lost (renewLocks) ──> onLost, settled as `lost`
 *
 *     kick() ── next tick ──> poll() ──> settleAndClaim(want)
 *       ^                                   │
 *       ├── a slot became free, a settlement, a call returned
 *       └── waker.wait() <── claimed fewer jobs than wanted (`mayHaveJobs` = false)
 */
export function createConsumer(
  queue: string,
  redis: RedisPort,
  queues: Queues,
  listeners: Listeners,
  kernel: Pick<Kernel, 'clock' | 'reporter'>,
  processor: Processor,
  initialConcurrency: number,
): RedisConsumer {
  const { lease } = redis
  const base = queues.baseOf(queue)
  const keys = [`${base}:meta`]
  const holder = randomBytes(9).toString('base64url')
  const settleAndClaimScript = defineScript(redis, SETTLE_AND_CLAIM)
  const renew = defineScript(redis, RENEW)
  const reclaim = defineScript(redis, RECLAIM)
  const recover = defineScript(redis, RECOVER)
  const progress = defineScript(redis, PROGRESS)

  const running = new Set<Claimed>()
  let concurrency = initialConcurrency
  let slots = 0
  let callsInFlight = 0
  let scheduled = false
  let mayHaveJobs = true
  /** How often the consumer was woken. */
  let wakes = 0
  let needsRecovery = false
  let closing = false
  let stopped = false
  const skew = createClockSkew(() => kernel.clock)
  const idle: (() => void)[] = []
  const flushed: (() => void)[] = []

  const outages = watchQueue(queue, kernel.reporter)
  const waker = createWaker(redis, base, wake)
  const outcomes = createOutcomes({ redis, kernel, listeners, toStore: skew.toStore, added: kick, finished, release })
  const renewing = setInterval(() => void renewLocks(), timerDelay(lease / 3))
  const reclaimInterval = Math.min(RECLAIM_INTERVAL, lease / 2)
  const reclaiming = setInterval(() => void reclaimLost(), timerDelay(reclaimInterval))
  const unwatch = redis.onReconnect(() => {
    needsRecovery = true
    void renewLocks()
    wake()
  })

  function wake(): void {
    wakes++
    mayHaveJobs = true
    kick()
  }

  function kick(): void {
    if (scheduled || callsInFlight === MAX_CALLS || stopped) return
    scheduled = true
    process.nextTick(poll)
  }

  function poll(): void {
    scheduled = false
    if (outcomes.size === 0 && callsInFlight === 0) for (const resolve of flushed.splice(0)) resolve()
    // The script claims nothing for a slot that is freed by an outcome of which the append is refused.
    const freed = concurrency === 1 ? outcomes.busy : 0
    const free =
      closing || (!mayHaveJobs && freed === 0)
        ? 0
        : Math.max(0, Math.min(concurrency - slots + freed, concurrency + MAX_ENDING - running.size))
    const want = Math.min(free, MAX_CLAIMED, Math.ceil(concurrency / MAX_CALLS))
    if (outcomes.size === 0 && want === 0) return resolveIdle()
    if (callsInFlight > 0 && (needsRecovery || outcomes.size + want < Math.min(MIN_SECOND_CALL, concurrency / 4)))
      return
    callsInFlight++
    settleAndClaim(want).then(
      () => {
        callsInFlight--
        outages.calls.worked()
        kick()
      },
      (error: unknown) => {
        callsInFlight--
        if (stopped) return
        outages.calls.failed(error)
        setTimeout(kick, RETRY)
      },
    )
  }

  async function settleAndClaim(want: number): Promise<void> {
    if (needsRecovery) await recoverLost()
    const known = wakes
    const batch = outcomes.take(MAX_SETTLED)
    slots += want
    const asked = Date.now()
    let reply: Reply
    try {
      reply = (await settleAndClaimScript(keys, [base, holder, lease, want, ...encodeBatch(batch)])) as Reply
    } catch (error) {
      outcomes.putBack(batch)
      slots -= want
      throw error
    }
    const [now, settled, claimed, hold, nextDue] = reply
    redis.compareClock(Number(now), asked)
    skew.measure(Number(now))
    outcomes.accept(batch, settled, Number(now))
    const got = claimed.length / 2
    slots -= want - got
    for (let index = 0; index < claimed.length; index += 2) {
      start(claimed[index] as string, claimed[index + 1] as (string | null)[], Number(now))
    }
    // If the consumer was woken during the call, the call may not have seen the new job.
    if (want === 0 || got === want || wakes !== known) return
    mayHaveJobs = false
    const due = nextDue === '' ? Infinity : Math.max(0, Number(nextDue) - Number(now))
    waker.wait(hold > 0 ? hold : due)
  }

  function start(storedId: string, [claims, ...fields]: (string | null)[], now: number): void {
    const record = decodeClaimed(queue, storedId, fields)
    record.claims = Number(claims)
    record.startedAt = skew.fromStore(now)
    // Redis decided that the job is due, even if the clock of this machine is behind.
    record.runAt = Math.min(record.runAt, kernel.clock.now())
    const claimed: Claimed = {
      storedId,
      record,
      onLost: undefined,
      busy: true,
      settled: undefined,
      early: undefined,
      stored: undefined,
    }
    running.add(claimed)
    if (listeners.any) listeners.emit('active', queue, () => ({ ...record }))
    const lease = {
      onLost: (callback: () => void) => void (claimed.onLost = callback),
      // With a concurrency of 1, the outcome of a job is stored before the next job starts, so it travels with the terminal event.
      handled: () => (concurrency > 1 ? release(claimed) : undefined),
      parked: () => release(claimed),
      ending: (key: string) => (concurrency === 1 ? outcomes.endingOf(claimed, key) : undefined),
      progress: (value: number) => storeProgress(claimed, value),
    }
    void processor({ ...record }, lease).then((settlement) => outcomes.settle(claimed, settlement))
  }

  function finished(claimed: Claimed): void {
    running.delete(claimed)
    if (closing) kick()
  }

  function release(claimed: Claimed): void {
    if (!claimed.busy) return
    claimed.busy = false
    slots--
    mayHaveJobs = true
    kick()
  }

  async function storeProgress({ storedId, record }: Claimed, value: number): Promise<void> {
    const stored = await progress(keys, [base, storedId, `${holder}:${record.claims}`, JSON.stringify(value)])
    if (stored !== 1) return
    record.progress = value
    listeners.emit('progress', queue, () => ({ ...record }))
  }

  async function renewLocks(): Promise<void> {
    if (running.size === 0) return
    const held = [...running].filter(({ stored }) => !stored)
    try {
      const args = held.flatMap(({ storedId, record }) => [storedId, record.claims])
      const lost = new Set((await renew(keys, [base, holder, lease, ...args])) as string[])
      outages.renewal.worked()
      for (const claimed of held) {
        if (lost.has(claimed.storedId) && running.has(claimed) && !claimed.stored) claimed.onLost?.()
      }
    } catch (error) {
      if (!stopped) outages.renewal.failed(error)
    }
  }

  async function reclaimLost(): Promise<void> {
    try {
      const reclaimed = (await reclaim(keys, [base, Math.floor(reclaimInterval * 0.9)])) as string[]
      outages.search.worked()
      // The marker may wake a worker whose process is frozen, so this consumer polls as well.
      if (reclaimed.length > 0) wake()
    } catch (error) {
      if (!stopped) outages.search.failed(error)
    }
  }

  /** After a broken connection, returns jobs to the queue that a call claimed whose result was lost. */
  async function recoverLost(): Promise<void> {
    needsRecovery = false
    try {
      await recover(keys, [base, holder, ...[...running].map(({ storedId }) => storedId)])
    } catch (error) {
      needsRecovery = true
      throw error
    }
  }

  function resolveIdle(): void {
    if (outcomes.size > 0 || callsInFlight > 0 || running.size > 0) return
    for (const resolve of idle.splice(0)) resolve()
  }

  queues.record(queue)
  kick()

  return {
    setConcurrency(value) {
      concurrency = value
      wake()
    },
    async close({ timeout }) {
      closing = true
      waker.stop()
      clearInterval(reclaiming)
      const done = Promise.withResolvers<void>()
      idle.push(done.resolve)
      kick()
      const timer = timeout === Infinity ? undefined : setTimeout(done.resolve, timerDelay(timeout))
      await done.promise
      clearTimeout(timer)
      if (running.size === 0) this.stop()
    },
    async flush() {
      if (stopped || (outcomes.size === 0 && callsInFlight === 0)) return
      await new Promise<void>((resolve) => void flushed.push(resolve))
    },
    stop() {
      stopped = closing = true
      waker.stop()
      clearInterval(renewing)
      clearInterval(reclaiming)
      unwatch()
    },
  }
}
