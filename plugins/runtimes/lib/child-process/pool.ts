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

/** One process of the pool. */
interface Member {
  group: WorkerGroup
  child: Child
  /** How many jobs it has received. */
  uses: number
  idleTimer: NodeJS.Timeout | undefined
  dismissed: boolean
}

/** The processes of one worker. */
interface WorkerGroup {
  worker: WorkerDefinition
  options: ResolvedProcessOptions
  breaker: Breaker
  /** Idle processes. The one that has been idle longest comes first. */
  idle: Member[]
  /** Processes that are started in advance and are not assigned to a job yet. */
  starting: Promise<Member>[]
  lastUsed: number
  retired: boolean
}

/** A job that waits for a process. */
interface Waiter {
  group: WorkerGroup
  /** Removes it from the queue. */
  leave(wasCalled: boolean): void
}

/**
 * Manages the processes of a runtime. Starts them before the next job needs them, reuses them as often as the worker
 * allows, and limits their total number. Further jobs wait in the order of their calls.
 *
 * ```
 *            launch ┌──────────┐ ready ┌──────┐ acquire ┌──────┐
 *          ────────>│ starting │──────>│ idle │────────>│ busy │
 *                   └────┬─────┘       └┬─────┘         └─┬──┬─┘
 *     did not start,     │              │ ^    release,   │  │ release: used `reuse` times,
 *     pool was closed    │              │ └───────────────┘  │ worker was reloaded,
 *                        │              │   may be reused    │ pool was closed
 *                        │              │ idleTimeout,       │
 *                        │              │ makeRoom, closed   │
 *                        v              v                    v
 *                   ┌─────────────────────────────────────────┐   a crash leads from
 *                   │       dismissed ─────> exited           │   any state to exited
 *                   └─────────────────────────────────────────┘
 * ```
 *
 * - A `starting` process that `acquire` launched or took becomes `busy` at once.
 * - `processCount` counts all processes that have not exited, and never exceeds `maxChildren`.
 * - `callNext` runs whenever a process becomes idle or exits. It calls the first waiter that can use the change.
 */
export function createPool({ maxChildren, optionsOf, spawn }: PoolOptions) {
  const groups = new Map<WorkerDefinition, WorkerGroup>()
  const members = new Set<Member>()
  const waiters: Waiter[] = []
  /** Processes that run or are starting. */
  let processCount = 0
  /** Waiters that were called, and have not yet taken the process they were called for. */
  let calledWaiters = 0
  let closed = false
  let onEmpty: (() => void) | undefined

  function groupOf(worker: WorkerDefinition): WorkerGroup {
    let group = groups.get(worker)
    if (!group) {
      const { id } = worker
      for (const other of groups.values()) if (other.worker.id === id) retire(other)
      const options = optionsOf(worker)
      group = { worker, options, breaker: createBreaker(id), idle: [], starting: [], lastUsed: 0, retired: false }
      groups.set(worker, group)
    }
    return group
  }

  /** Called when a worker was loaded again: its processes still hold the previous version. */
  function retire(group: WorkerGroup): void {
    group.retired = true
    groups.delete(group.worker)
    for (const member of group.idle.splice(0)) dismiss(member)
  }

  /**
   * Returns a process for a job. If all places are taken, jobs receive a process in the order of their calls. The
   * abort of `signal` stops the wait.
   */
  async function acquire(worker: WorkerDefinition, signal: AbortSignal): Promise<Member> {
    const group = groupOf(worker)
    try {
      for (let mayTake = waiters.length === 0; ; mayTake = true) {
        signal.throwIfAborted()
        if (closed) {
          const message = `Worker "${worker.id}" cannot start a process, because the kernel is closed.`
          throw new QueueError('KERNEL_CLOSED', message)
        }
        if (mayTake) {
          const member = await take(group)
          if (member && signal.aborted) makeIdle(member)
          else if (member) return use(member)
        }
        if (!signal.aborted && (await waitForCall(group, signal, mayTake))) calledWaiters--
      }
    } catch (error) {
      // This job may have been called. The call passes to the next waiter.
      callNext()
      throw error
    }
  }

  /** Returns an idle process, a starting one, or a new one if there is a free place. */
  function take(group: WorkerGroup): MaybePromise<Member | undefined> {
    const idle = group.idle.shift()
    if (idle) return idle
    group.breaker.check()
    return group.starting.shift() ?? (processCount < maxChildren ? launch(group) : undefined)
  }

  function use(member: Member): Member {
    clearTimeout(member.idleTimer)
    member.uses++
    member.group.lastUsed = Date.now()
    // Deferred, so that it does not delay this job.
    setImmediate(() => prepareNext(member.group))
    return member
  }

  async function launch(group: WorkerGroup): Promise<Member> {
    processCount++
    let child: Child
    try {
      child = await spawn(group.worker, group.options)
    } catch (error) {
      freePlace()
      // An error of the runtime already explains itself, and is kept unchanged.
      throw recordFailure(group, isQueueError(error) ? error : startError(group.worker.id, error))
    }
    const member: Member = { group, child, uses: 0, idleTimer: undefined, dismissed: false }
    members.add(member)
    void child.exited.then(() => onExit(member))
    if (closed) dismiss(member)
    try {
      await child.ready
    } catch (error) {
      throw recordFailure(group, toError(error))
    }
    group.breaker.recordSuccess()
    return member
  }

  function recordFailure(group: WorkerGroup, error: Error): Error {
    group.breaker.recordFailure(error)
    return error
  }

  /** Starts the processes that the next jobs of a worker will need. */
  function prepareNext(group: WorkerGroup): void {
    const { spare, reuse, idleTimeout } = group.options
    if (closed || group.retired || group.breaker.open || waiters.length + calledWaiters > 0) return
    if (Date.now() - group.lastUsed > idleTimeout) return
    const usable = reuse > 1 ? count(members, (one) => one.group === group && one.uses < reuse) : group.idle.length
    if (usable + group.starting.length >= spare || processCount >= maxChildren) return
    const starting = launch(group)
    group.starting.push(starting)
    starting.then(
      (member) => {
        if (!removeStarting(group, starting)) return
        makeIdle(member)
        prepareNext(group)
      },
      // The next job starts a process itself, and reports the reason if that fails.
      () => void removeStarting(group, starting),
    )
  }

  /** Returns whether the process was still unassigned. */
  function removeStarting(group: WorkerGroup, starting: Promise<Member>): boolean {
    const index = group.starting.indexOf(starting)
    if (index !== -1) void group.starting.splice(index, 1)
    return index !== -1
  }

  /** Makes a free process available to the next job. */
  function makeIdle(member: Member): void {
    const { group, child } = member
    if (!child.alive) return
    if (closed || group.retired) return dismiss(member)
    group.idle.push(member)
    member.idleTimer = setTimeout(() => dismiss(member), timerDelay(group.options.idleTimeout)).unref()
    callNext()
  }

  function release(member: Member): void {
    if (member.uses < member.group.options.reuse) makeIdle(member)
    else dismiss(member)
  }

  function dismiss(member: Member): void {
    clearTimeout(member.idleTimer)
    member.dismissed = true
    const index = member.group.idle.indexOf(member)
    if (index !== -1) member.group.idle.splice(index, 1)
    if (member.child.alive) member.child.stop()
  }

  function onExit(member: Member): void {
    const { group, uses, dismissed } = member
    members.delete(member)
    if (uses === 0 && !dismissed) recordFailure(group, new Error('Its process ended while it waited for a job.'))
    dismiss(member)
    freePlace()
    prepareNext(group)
  }

  function freePlace(): void {
    processCount--
    if (processCount === 0) onEmpty?.()
    callNext()
  }

  /** Ends an idle process of another worker, so that this worker gets a place. */
  function makeRoom(group: WorkerGroup): void {
    if (group.idle.length > 0) return
    const idle = [...members].find((one) => one.group !== group && one.group.idle.includes(one))
    if (idle) dismiss(idle)
  }

  /**
   * Waits until the job is called. A job that was called before and found no process waits at the head of the queue.
   * Returns false if the wait was aborted.
   */
  function waitForCall(group: WorkerGroup, signal: AbortSignal, first: boolean): Promise<boolean> {
    return new Promise((resolve) => {
      const onAbort = (): void => waiter.leave(false)
      const waiter: Waiter = {
        group,
        leave(wasCalled) {
          signal.removeEventListener('abort', onAbort)
          const index = waiters.indexOf(waiter)
          if (index !== -1) waiters.splice(index, 1)
          resolve(wasCalled)
        },
      }
      signal.addEventListener('abort', onAbort)
      if (first) waiters.unshift(waiter)
      else waiters.push(waiter)
      callNext()
    })
  }

  /** Calls the first waiter for which there is an idle process of its worker or a free place. */
  function callNext(): void {
    const found = waiters.find(({ group }) => group.idle.length > 0 || processCount < maxChildren)
    if (found) {
      calledWaiters++
      return found.leave(true)
    }
    const first = waiters[0]
    if (first) makeRoom(first.group)
  }

  return {
    acquire,
    release,
    /** Ends all processes, also processes that are starting, and waits until they have exited. */
    async close(): Promise<void> {
      closed = true
      for (const { leave } of [...waiters]) leave(false)
      for (const member of members) dismiss(member)
      if (processCount > 0) await new Promise<void>((resolve) => void (onEmpty = resolve))
    },
  }
}

function count<T>(items: Iterable<T>, test: (item: T) => boolean): number {
  let found = 0
  for (const item of items) if (test(item)) found++
  return found
}
