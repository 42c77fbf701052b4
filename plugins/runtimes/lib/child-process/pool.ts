import {
  timerDelay,
  isQueueError,
  QueueError,
  toError,
  type MaybePromise,
  type WorkerDefinition,
} from '../../../../kernel/index.ts'
import { createBreaker, type Breaker } from './breaker.ts'
import { startError, type Child } from './child.ts'
import type { ResolvedProcessOptions } from './options.ts'

export interface PoolOptions {
  maxChildren: number
  optionsOf(worker: WorkerDefinition): ResolvedProcessOptions
  spawn(worker: WorkerDefinition, options: ResolvedProcessOptions): Promise<Child>
}

/** A process and its place in the pool. */
interface Member {
  lane: Lane
  child: Child
  uses: number
  idle: NodeJS.Timeout | undefined
  dismissed: boolean
}

/** What the pool knows of one worker. */
interface Lane {
  worker: WorkerDefinition
  options: ResolvedProcessOptions
  breaker: Breaker
  /** Those that wait for a job, the one that waits longest first. */
  ready: Member[]
  /** Those that are being started ahead, and are no job's yet. */
  coming: Promise<Member>[]
  usedAt: number
  retired: boolean
}

interface Waiter {
  lane: Lane
  /** Takes it out of the line. */
  leave(wasCalled: boolean): void
}

/**
 * The processes of a runtime: started ahead of the next job, used again where the worker says so,
 * never more than there may be. Jobs beyond wait in line.
 */
export function createPool({ maxChildren, optionsOf, spawn }: PoolOptions) {
  const lanes = new Map<WorkerDefinition, Lane>()
  const members = new Set<Member>()
  const waiting: Waiter[] = []
  /** Processes that live or are being started. */
  let places = 0
  /** Jobs that were called from the line and are about to take what they were called for. */
  let called = 0
  let closed = false
  let emptied: (() => void) | undefined

  function laneOf(worker: WorkerDefinition): Lane {
    let lane = lanes.get(worker)
    if (!lane) {
      const { id } = worker
      for (const other of lanes.values()) if (other.worker.id === id) retire(other)
      const options = optionsOf(worker)
      lane = { worker, options, breaker: createBreaker(id), ready: [], coming: [], usedAt: 0, retired: false }
      lanes.set(worker, lane)
    }
    return lane
  }

  /** A worker that was loaded again has processes that hold what it was. */
  function retire(lane: Lane): void {
    lane.retired = true
    lanes.delete(lane.worker)
    for (const member of lane.ready.splice(0)) dismiss(member)
  }

  /**
   * A process for a job, in the order of the calls where there are too few. The abort of `signal`
   * takes the job out of the line.
   */
  async function acquire(worker: WorkerDefinition, signal: AbortSignal): Promise<Member> {
    const lane = laneOf(worker)
    try {
      for (let due = waiting.length === 0; ; due = true) {
        signal.throwIfAborted()
        if (closed) throw new QueueError('KERNEL_CLOSED', `Worker "${worker.id}" starts no processes any more.`)
        if (due) {
          const member = await claim(lane)
          if (member && signal.aborted) settle(member)
          else if (member) return use(member)
        }
        if (!signal.aborted && (await turn(lane, signal, due))) called--
      }
    } catch (error) {
      // Whoever was called and cannot go passes the call on.
      next()
      throw error
    }
  }

  /** A process that is ready, or about to be, or a new one if there is a place for it. */
  function claim(lane: Lane): MaybePromise<Member | undefined> {
    const ready = lane.ready.shift()
    if (ready) return ready
    lane.breaker.check()
    return lane.coming.shift() ?? (places < maxChildren ? launch(lane) : undefined)
  }

  function use(member: Member): Member {
    clearTimeout(member.idle)
    member.uses++
    member.lane.usedAt = Date.now()
    // Off the path of this job.
    setImmediate(() => prepareNext(member.lane))
    return member
  }

  async function launch(lane: Lane): Promise<Member> {
    places++
    let child: Child
    try {
      child = await spawn(lane.worker, lane.options)
    } catch (error) {
      left()
      // What the runtime says of it in words of its own stays that.
      throw failed(lane, isQueueError(error) ? error : startError(lane.worker.id, error))
    }
    const member: Member = { lane, child, uses: 0, idle: undefined, dismissed: false }
    members.add(member)
    void child.exited.then(() => gone(member))
    if (closed) dismiss(member)
    try {
      await child.ready
    } catch (error) {
      throw failed(lane, toError(error))
    }
    lane.breaker.started()
    return member
  }

  function failed(lane: Lane, error: Error): Error {
    lane.breaker.failed(error)
    return error
  }

  /** Starts ahead what the next jobs of a worker will want. */
  function prepareNext(lane: Lane): void {
    const { spare, reuse, idleTimeout } = lane.options
    if (closed || lane.retired || lane.breaker.open || waiting.length + called > 0) return
    if (Date.now() - lane.usedAt > idleTimeout) return
    const returning = reuse > 1 ? count(members, (one) => one.lane === lane && one.uses < reuse) : lane.ready.length
    if (returning + lane.coming.length >= spare || places >= maxChildren) return
    const coming = launch(lane)
    lane.coming.push(coming)
    coming.then(
      (member) => {
        if (!unclaim(lane, coming)) return
        settle(member)
        prepareNext(lane)
      },
      // The next job starts one itself and tells why that fails.
      () => void unclaim(lane, coming),
    )
  }

  /** True when no job waits for it. */
  function unclaim(lane: Lane, coming: Promise<Member>): boolean {
    const at = lane.coming.indexOf(coming)
    if (at !== -1) void lane.coming.splice(at, 1)
    return at !== -1
  }

  /** Puts a process that is free where the next job finds it. */
  function settle(member: Member): void {
    const { lane, child } = member
    if (!child.alive) return
    if (closed || lane.retired) return dismiss(member)
    lane.ready.push(member)
    member.idle = setTimeout(() => dismiss(member), timerDelay(lane.options.idleTimeout)).unref()
    next()
  }

  function release(member: Member): void {
    if (member.uses < member.lane.options.reuse) settle(member)
    else dismiss(member)
  }

  function dismiss(member: Member): void {
    clearTimeout(member.idle)
    member.dismissed = true
    const at = member.lane.ready.indexOf(member)
    if (at !== -1) member.lane.ready.splice(at, 1)
    if (member.child.alive) member.child.stop()
  }

  function gone(member: Member): void {
    const { lane, uses, dismissed } = member
    members.delete(member)
    if (uses === 0 && !dismissed) failed(lane, new Error('Its process ended while it waited for a job.'))
    dismiss(member)
    left()
    prepareNext(lane)
  }

  function left(): void {
    places--
    if (places === 0) emptied?.()
    next()
  }

  /** Ends the process of another worker that has waited longest, when all places are taken. */
  function makeRoom(lane: Lane): void {
    if (lane.ready.length > 0) return
    const idle = [...members].find((one) => one.lane !== lane && one.lane.ready.includes(one))
    if (idle) dismiss(idle)
  }

  /** Waits in line, at its head if it was there already. True when it was called, false when it gave up. */
  function turn(lane: Lane, signal: AbortSignal, first: boolean): Promise<boolean> {
    return new Promise((resolve) => {
      const giveUp = (): void => waiter.leave(false)
      const waiter: Waiter = {
        lane,
        leave(wasCalled) {
          signal.removeEventListener('abort', giveUp)
          const at = waiting.indexOf(waiter)
          if (at !== -1) waiting.splice(at, 1)
          resolve(wasCalled)
        },
      }
      signal.addEventListener('abort', giveUp)
      if (first) waiting.unshift(waiter)
      else waiting.push(waiter)
      next()
    })
  }

  /** Lets the first one in line go that finds something: a process of its worker, or a free place. */
  function next(): void {
    const found = waiting.find(({ lane }) => lane.ready.length > 0 || places < maxChildren)
    if (found) {
      called++
      return found.leave(true)
    }
    const first = waiting[0]
    if (first) makeRoom(first.lane)
  }

  return {
    acquire,
    release,
    /** Ends all processes, those that are being started included, and waits until they are gone. */
    async close(): Promise<void> {
      closed = true
      for (const { leave } of [...waiting]) leave(false)
      for (const member of members) dismiss(member)
      if (places > 0) await new Promise<void>((resolve) => void (emptied = resolve))
    },
  }
}

function count<T>(of: Iterable<T>, test: (one: T) => boolean): number {
  let found = 0
  for (const one of of) if (test(one)) found++
  return found
}
