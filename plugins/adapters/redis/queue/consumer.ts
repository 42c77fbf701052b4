import { randomBytes } from 'node:crypto'
import {
  serializeError,
  timerDelay,
  type JobRecord,
  type Kernel,
  type Processor,
  type Settlement,
} from '../../../../kernel/index.ts'
import { defineScript, type RedisPort } from '../lib/redis.ts'
import type { Consumer } from '../../lib/worker-manager.ts'
import { createClockSkew } from './clock-skew.ts'
import { decodeClaimed } from './job-codec.ts'
import { PROGRESS } from './lease-scripts.ts'
import { createLeases } from './leases.ts'
import type { Listeners } from '../../lib/listeners.ts'
import { watchQueue } from './queue-outages.ts'
import type { Queues } from './queues.ts'
import { createOutcomes } from './outcomes.ts'
import { claimedOf, encodeBatch, type Claimed } from './settlement.ts'
import { SETTLE_AND_CLAIM } from './consumer-scripts.ts'
import { createPrefetch } from '../../lib/prefetch.ts'
import { createSlots, MAX_CALLS } from '../../lib/slots.ts'
import { createWaker } from './waker.ts'

/** The maximum number of jobs that one call claims and settles, because a script blocks Redis. */
const MAX_CLAIMED = 50
const MAX_SETTLED = 500
/** The maximum number of jobs whose handler has succeeded and whose outcome is not stored yet. */
const MAX_ENDING = 1000
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
 *     kick() ── next tick ──> poll() ──> settleAndClaim(want)
 *       ^                                   │
 *       ├── a slot became free, a settlement, a call returned
 *       └── waker.wait() <── claimed fewer jobs than wanted (`mayHaveJobs` = false)
 *
 * `lib/slots.ts` shows the states of a job.
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
  const progress = defineScript(redis, PROGRESS)

  /** The claimed jobs of which the outcome is not stored. */
  const unsettled = new Set<Claimed>()
  let concurrency = initialConcurrency
  let callsInFlight = 0
  /** The number of jobs that the calls in flight may claim. */
  let pending = 0
  /** The moment until which the queue is held. Jobs that are claimed before it return to the queue. */
  let heldUntil = 0
  let scheduled = false
  let mayHaveJobs = true
  /** How often the consumer was woken. */
  let wakes = 0
  let closing = false
  let stopped = false
  const skew = createClockSkew(() => kernel.clock)
  const idle: (() => void)[] = []
  const flushed: (() => void)[] = []

  const outages = watchQueue(queue, kernel.reporter)
  const waker = createWaker(redis, base, wake)
  const prefetch = createPrefetch()
  const slots = createSlots<Claimed>(initialConcurrency, {
    clock: kernel.clock,
    prefetch,
    processor,
    started,
    progress: storeProgress,
    ending: (claimed, _record, key) => outcomes.endingOf(claimed, key),
    unreadable,
    ended,
    // The script puts each job in front of the waiting ones.
    returned: (jobs) => jobs.toReversed().forEach((claimed) => outcomes.giveBack(claimed)),
    dropped: (claimed) => outcomes.settle(claimed, { type: 'lost' }),
    changed: kick,
  })
  const outcomes = createOutcomes({
    ...{ redis, kernel, listeners, toStore: skew.toStore, added: kick, finished, hold },
    release: slots.release,
  })
  const leases = createLeases({ redis, base, keys, holder, outages, unsettled, lose: slots.lose, wake })

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
    const wanted = closing || (!mayHaveJobs && freed === 0) ? 0 : slots.wanted({ pending, least: 1, freed })
    const want = Math.max(0, Math.min(wanted, MAX_CLAIMED, concurrency + MAX_ENDING - unsettled.size))
    if (outcomes.size === 0 && want === 0) return resolveIdle()
    if (callsInFlight > 0 && (leases.needRecovery || outcomes.size + want < Math.min(MIN_SECOND_CALL, concurrency / 4)))
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
        // The jobs of the other call may have waited for those of this one.
        if (closing) giveBackLast()
        outages.calls.failed(error)
        setTimeout(kick, RETRY)
      },
    )
  }

  async function settleAndClaim(want: number): Promise<void> {
    if (leases.needRecovery) await leases.recover()
    const known = wakes
    const batch = outcomes.take(MAX_SETTLED)
    pending += want
    const began = performance.now()
    const asked = Date.now()
    let reply: Reply
    try {
      reply = (await settleAndClaimScript(keys, [base, holder, lease, want, ...encodeBatch(batch)])) as Reply
    } catch (error) {
      outcomes.putBack(batch)
      pending -= want
      throw error
    }
    const [now, settled, claimed, heldFor, nextDue] = reply
    redis.compareClock(Number(now), asked)
    skew.measure(Number(now))
    outcomes.accept(batch, settled, Number(now))
    const got = claimed.length / 2
    pending -= want
    if (want > 0) prefetch.polled(performance.now() - began)
    take(claimed, Number(now))
    if (heldFor > 0) hold(heldFor)
    else if (closing) giveBackLast()
    else if (performance.now() < heldUntil) slots.giveBack()
    else slots.fill()
    // If the consumer was woken during the call, the call may not have seen the new job.
    if (want === 0 || got === want || wakes !== known) return
    mayHaveJobs = false
    const due = nextDue === '' ? Infinity : Math.max(0, Number(nextDue) - Number(now))
    waker.wait(heldFor > 0 ? heldFor : due)
  }

  function take(jobs: readonly unknown[], at: number): void {
    const taken: Claimed[] = []
    for (let index = 0; index < jobs.length; index += 2) {
      const [storedId, [claims, ...fields]] = [jobs[index] as string, jobs[index + 1] as (string | null)[]]
      taken.push(claimedOf(storedId, Number(claims), fields, at))
    }
    for (const claimed of taken) unsettled.add(claimed)
    slots.add(taken)
  }

  function started(claimed: Claimed): JobRecord {
    const record = decodeClaimed(queue, claimed.key, claimed.fields)
    record.claims = claimed.claim
    record.startedAt = skew.fromStore(claimed.at)
    // Redis decided that the job is due, even if the clock of this machine is behind.
    record.runAt = Math.min(record.runAt, kernel.clock.now())
    claimed.record = record
    if (listeners.any) listeners.emit('active', queue, () => ({ ...record }))
    return { ...record }
  }

  function unreadable(claimed: Claimed, error: unknown): void {
    kernel.reporter.error(`Job "${claimed.key}" of queue "${queue}" cannot be read, so it has failed.`, error)
    outcomes.settle(claimed, { type: 'failed', error: serializeError(error) })
  }

  function ended(claimed: Claimed, _record: JobRecord, settlement: Settlement): void {
    outcomes.settle(claimed, settlement)
  }

  /** Each returned job goes to the head of the queue, so those of a call in flight have to be among them to keep their order. */
  function giveBackLast(): void {
    if (pending === 0) slots.giveBack()
  }

  /** Jobs that wait for a slot must not start while the queue is held. */
  function hold(ms: number): void {
    heldUntil = Math.max(heldUntil, performance.now() + ms)
    slots.giveBack()
  }

  function finished(claimed: Claimed): void {
    unsettled.delete(claimed)
    if (closing) kick()
  }

  async function storeProgress({ key, claim, record }: Claimed, _record: JobRecord, value: number): Promise<void> {
    const stored = await progress(keys, [base, key, `${holder}:${claim}`, JSON.stringify(value)])
    if (stored !== 1 || !record) return
    record.progress = value
    listeners.emit('progress', queue, () => ({ ...record }))
  }

  function resolveIdle(): void {
    if (outcomes.size > 0 || callsInFlight > 0 || unsettled.size > 0) return
    for (const resolve of idle.splice(0)) resolve()
  }

  queues.record(queue)
  kick()

  return {
    setConcurrency(value) {
      concurrency = value
      slots.resize(value)
      wake()
    },
    async close({ timeout }) {
      closing = true
      waker.stop()
      leases.stopReclaiming()
      giveBackLast()
      const done = Promise.withResolvers<void>()
      idle.push(done.resolve)
      kick()
      const timer = timeout === Infinity ? undefined : setTimeout(done.resolve, timerDelay(timeout))
      await done.promise
      clearTimeout(timer)
      if (unsettled.size === 0) this.stop()
    },
    async flush() {
      if (stopped || (outcomes.size === 0 && callsInFlight === 0)) return
      await new Promise<void>((resolve) => void flushed.push(resolve))
    },
    stop() {
      stopped = closing = true
      waker.stop()
      leases.stop()
    },
  }
}
