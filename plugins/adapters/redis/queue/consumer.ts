import { randomBytes } from 'node:crypto'
import { timerDelay, type Kernel, type Processor, type Settlement } from '../../../../kernel/index.ts'
import { defineScript, type RedisPort } from '../lib/redis.ts'
import { givenBack, storable } from '../../lib/storable.ts'
import type { Consumer } from '../../lib/worker-manager.ts'
import { decodeClaimed } from './job-codec.ts'
import type { Listeners } from './listeners.ts'
import { watchQueue } from './queue-outages.ts'
import type { Queues } from './queues.ts'
import { encodeSettlement, tellSettled, type Argument, type Claimed } from './settlement.ts'
import { PROGRESS, RECLAIM, RECOVER, RENEW, TURN } from './turn-script.ts'
import { createWaker } from './waker.ts'

/** How many jobs one turn claims, and settles, at most: Redis does nothing else meanwhile. */
const MOST_CLAIMED = 50
const MOST_SETTLED = 500
/** How often, in milliseconds, somebody looks for jobs that nobody holds. */
const RECLAIM_EVERY = 2000
/** How many jobs whose handler has succeeded may wait for their end to be stored. */
const MOST_ENDING = 1000
/**
 * How many turns may be on their way at once, so that neither Redis nor this process waits for the
 * other, and how much a further one has to carry to be worth its call.
 */
const MOST_TURNS = 2
const WORTH_A_TURN = 8
/** Milliseconds before a turn that failed is tried again. */
const RETRY = 500
/** By how many milliseconds the clocks of this machine and of Redis may differ unnoticed. */
const TOLERATED_SKEW = 1000

type TurnReply = [now: string, settled: string[], claimed: unknown[], hold: number, nextDue: string]

export interface RedisConsumer extends Consumer {
  /** Resolves once nothing is left to store. */
  flush(): Promise<void>
  stop(): void
}

/**
 * Consumes one queue. It goes in turns, a call to Redis each: a turn stores the settlements that have
 * come up and claims jobs for the slots that are free.
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
  const turn = defineScript(redis, TURN)
  const renew = defineScript(redis, RENEW)
  const reclaim = defineScript(redis, RECLAIM)
  const recover = defineScript(redis, RECOVER)
  const progress = defineScript(redis, PROGRESS)

  const running = new Set<Claimed>()
  let concurrency = initialConcurrency
  let slots = 0
  let settlements: { claimed: Claimed; settlement: Settlement; args: readonly Argument[] }[] = []
  let turns = 0
  let scheduled = false
  let mayHaveWork = true
  /** How often it was told that there is work. */
  let wakes = 0
  let needsRecovery = false
  let closing = false
  let stopped = false
  let skew = 0
  const idle: (() => void)[] = []
  const flushed: (() => void)[] = []

  const outages = watchQueue(queue, kernel.reporter)
  const waker = createWaker(redis, base, wake)
  const renewing = setInterval(() => void renewLocks(), timerDelay(lease / 3))
  const every = Math.min(RECLAIM_EVERY, lease / 2)
  const reclaiming = setInterval(() => void reclaimLost(), timerDelay(every))
  const unwatch = redis.onReconnect(() => {
    needsRecovery = true
    void renewLocks()
    wake()
  })

  function wake(): void {
    wakes++
    mayHaveWork = true
    kick()
  }

  function kick(): void {
    if (scheduled || turns === MOST_TURNS || stopped) return
    scheduled = true
    process.nextTick(go)
  }

  function go(): void {
    scheduled = false
    if (settlements.length === 0 && turns === 0) for (const resolve of flushed.splice(0)) resolve()
    const free =
      closing || !mayHaveWork ? 0 : Math.max(0, Math.min(concurrency - slots, concurrency + MOST_ENDING - running.size))
    const want = Math.min(free, MOST_CLAIMED, Math.ceil(concurrency / MOST_TURNS))
    if (settlements.length === 0 && want === 0) return settleIdle()
    if (turns > 0 && (needsRecovery || settlements.length + want < Math.min(WORTH_A_TURN, concurrency / 4))) return
    turns++
    takeTurn(want).then(
      () => {
        turns--
        outages.turns.worked()
        kick()
      },
      (error: unknown) => {
        turns--
        if (stopped) return
        outages.turns.failed(error)
        setTimeout(kick, RETRY)
      },
    )
  }

  async function takeTurn(want: number): Promise<void> {
    if (needsRecovery) await recoverLost()
    const known = wakes
    const batch = settlements.slice(0, MOST_SETTLED)
    settlements = settlements.slice(batch.length)
    slots += want
    const asked = Date.now()
    let reply: TurnReply
    try {
      const settling = batch.flatMap(({ args }) => args)
      reply = (await turn(keys, [base, holder, lease, want, batch.length, ...settling])) as TurnReply
    } catch (error) {
      settlements = [...batch, ...settlements]
      slots -= want
      throw error
    }
    const [now, settled, claimed, hold, nextDue] = reply
    redis.compareClock(Number(now), asked)
    noteSkew(Number(now))
    for (const [index, { claimed: job, settlement }] of batch.entries()) {
      running.delete(job)
      if (listeners.some) tellSettled(listeners, job.record, settlement, settled[index]!, Number(now))
    }
    const got = claimed.length / 2
    slots -= want - got
    for (let index = 0; index < claimed.length; index += 2) {
      start(claimed[index] as string, claimed[index + 1] as (string | null)[], Number(now))
    }
    // What came while the turn was under way, it may not have seen.
    if (want === 0 || got === want || wakes !== known) return
    mayHaveWork = false
    const due = nextDue === '' ? Infinity : Math.max(0, Number(nextDue) - Number(now))
    waker.wait(hold > 0 ? hold : due)
  }

  function start(storedId: string, [claims, ...fields]: (string | null)[], now: number): void {
    const record = decodeClaimed(queue, storedId, fields)
    record.claims = Number(claims)
    record.startedAt = now - skew
    // Redis has decided that it is due, whatever the clock of this machine says.
    record.runAt = Math.min(record.runAt, kernel.clock.now())
    const claimed: Claimed = { storedId, record, lost: undefined, busy: true }
    running.add(claimed)
    if (listeners.some) listeners.emit('active', queue, record)
    const lease = {
      onLost: (tell: () => void) => void (claimed.lost = tell),
      // One after the other means that the end of one is stored before the next begins.
      handled: () => (concurrency > 1 ? release(claimed) : undefined),
      parked: () => release(claimed),
      progress: (value: number) => tellProgress(claimed, value),
    }
    void processor({ ...record }, lease).then((settlement) => settle(claimed, settlement))
  }

  function settle(claimed: Claimed, settlement: Settlement): void {
    settlements.push(encode(claimed, settlement))
    if (settlement.slot && claimed.busy) void settlement.slot.then(() => release(claimed))
    else release(claimed)
    kick()
  }

  /** What cannot be stored must not keep what travels with it from being stored: its job runs again. */
  function encode(claimed: Claimed, settlement: Settlement): (typeof settlements)[number] {
    const report = (problem: unknown): void =>
      kernel.reporter.error(`How job "${claimed.record.id}" ended cannot be stored; it will run again.`, problem)
    const now = kernel.clock.now()
    const stored = storable(settlement, now, report)
    try {
      return { claimed, settlement: stored, args: encodeSettlement(claimed, stored, toStore) }
    } catch (error) {
      report(error)
      const again = givenBack(settlement, now)
      return { claimed, settlement: again, args: encodeSettlement(claimed, again, toStore) }
    }
  }

  function release(claimed: Claimed): void {
    if (!claimed.busy) return
    claimed.busy = false
    slots--
    mayHaveWork = true
    kick()
  }

  async function tellProgress({ storedId, record }: Claimed, value: number): Promise<void> {
    const told = await progress(keys, [base, storedId, `${holder}:${record.claims}`, JSON.stringify(value)])
    if (told !== 1) return
    record.progress = value
    listeners.emit('progress', queue, record)
  }

  async function renewLocks(): Promise<void> {
    if (running.size === 0) return
    const held = [...running]
    try {
      const args = held.flatMap(({ storedId, record }) => [storedId, record.claims])
      const lost = new Set((await renew(keys, [base, holder, lease, ...args])) as string[])
      outages.renewal.worked()
      for (const claimed of held) if (lost.has(claimed.storedId) && running.has(claimed)) claimed.lost?.()
    } catch (error) {
      if (!stopped) outages.renewal.failed(error)
    }
  }

  async function reclaimLost(): Promise<void> {
    try {
      const reclaimed = (await reclaim(keys, [base, Math.floor(every * 0.9)])) as string[]
      outages.search.worked()
      // The marker may wake a worker that is frozen.
      if (reclaimed.length > 0) wake()
    } catch (error) {
      if (!stopped) outages.search.failed(error)
    }
  }

  /** After a broken connection: jobs may have been claimed by a call whose answer never came. */
  async function recoverLost(): Promise<void> {
    needsRecovery = false
    try {
      await recover(keys, [base, holder, ...[...running].map(({ storedId }) => storedId)])
    } catch (error) {
      needsRecovery = true
      throw error
    }
  }

  function noteSkew(now: number): void {
    const difference = now - kernel.clock.now()
    skew = Math.abs(difference) > TOLERATED_SKEW ? difference : 0
  }

  /** A moment of this machine's clock, by the clock of Redis. */
  function toStore(moment: number): number {
    return Math.ceil(moment + skew)
  }

  function settleIdle(): void {
    if (settlements.length > 0 || turns > 0 || running.size > 0) return
    for (const resolve of idle.splice(0)) resolve()
  }

  queues.note(queue)
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
      if (stopped || (settlements.length === 0 && turns === 0)) return
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
