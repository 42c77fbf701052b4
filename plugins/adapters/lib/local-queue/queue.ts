import fastq from 'fastq'
import type { Clock, JobRecord, Processor, QueueEvent, Settlement } from '../../../../kernel/index.ts'
import { ChurnMap } from '../churn-map.ts'
import { storable } from '../storable.ts'
import { cloneValue } from '../../../lib/value.ts'
import type { Consumer } from '../worker-manager.ts'
import { createGate } from './gate.ts'
import { changedBy, type QueueJournal } from './journal.ts'
import type { JobEntry } from './entry.ts'
import { DelayedJobs, WaitingJobs } from './waiting.ts'

export interface QueueHost {
  clock: Clock
  /** Runs a callback soon, outside the current call stack. */
  start(callback: () => void): void
  emit(event: QueueEvent, queue: string, entry?: JobEntry): void
  /** Called when the outcome of a job cannot be stored. */
  unstorable(entry: JobEntry, problem: string): void
  /** Called when a job has ended, to keep the order in which jobs expire. */
  ended(entry: JobEntry): void
  journal?: QueueJournal
}

type EndState = 'completed' | 'failed' | 'cancelled'

/**
 * Creates one queue. `fastq` runs one task for each job that may start and enforces the concurrency. A task picks its
 * job only when it starts, so that a job of higher priority overtakes jobs that were enqueued earlier.
 *
 *     admit ─┬─> delayed ── runAt ──> waiting ── claim ──> active ── settle ─┬─> completed | failed | cancelled
 *            └─────────────────────────^  ^                                  │
 *                                         └──── retry, defer, lost (admit) ──┘
 */
export function createQueue(name: string, host: QueueHost) {
  const jobs = new ChurnMap<string, JobEntry>()
  const waiting = new WaitingJobs()
  const delayed = new DelayedJobs()
  const gate = createGate(host.clock)
  let active = 0
  /** The slots in use, by active jobs or by handler code that still runs after its job has ended. */
  let slots = 0
  /** Queued and running tasks in `tasks`: only as many as can run, for any number of waiting jobs. */
  let taskCount = 0
  let processor: Processor | undefined
  let paused = false
  let heldUntil = 0
  let stopTimer: (() => void) | undefined
  let timerAt = Infinity
  let onIdle: (() => void) | undefined

  const tasks = fastq<undefined>((_task, done) => host.start(() => claim(done)), 1)
  tasks.pause()

  /** Runs tasks while there is a consumer, the queue is neither paused nor held, and its limits allow a claim. */
  function updateFlow(): void {
    const open = processor !== undefined && !paused && heldUntil <= host.clock.now() && gate.isOpen(active)
    if (open === !tasks.paused) return
    if (open) tasks.resume()
    else tasks.pause()
  }

  /** Adds a job to the delayed or the waiting jobs, depending on its `runAt`. */
  function admit(entry: JobEntry): void {
    const { record } = entry
    if (record.runAt > record.createdAt && record.runAt > host.clock.now()) {
      record.state = 'delayed'
      delayed.add(entry)
      host.emit('delayed', name, entry)
      armTimer()
    } else {
      record.state = 'waiting'
      waiting.add(entry)
      host.emit('waiting', name, entry)
      addTasks()
    }
  }

  function addTasks(): void {
    while (taskCount < tasks.concurrency && taskCount < waiting.size + slots) {
      taskCount++
      tasks.push(undefined)
    }
  }

  /** Sets one timer for the next moment at which a job is due, or at which a hold or a period of the rate ends. */
  function armTimer(): void {
    const closedUntil = Math.max(heldUntil, gate.opensAt())
    const opens = closedUntil > 0 && closedUntil > host.clock.now() ? closedUntil : Infinity
    const at = Math.min(delayed.next() ?? Infinity, opens)
    if (at === timerAt) return
    stopTimer?.()
    timerAt = at
    stopTimer = at === Infinity ? undefined : host.clock.setTimeout(wake, Math.max(0, at - host.clock.now()))
  }

  function updateFlowAndTimer(): void {
    updateFlow()
    armTimer()
  }

  function wake(): void {
    timerAt = Infinity
    const now = host.clock.now()
    for (let entry = delayed.takeDue(now); entry; entry = delayed.takeDue(now)) admit(entry)
    updateFlowAndTimer()
  }

  function claim(done: fastq.done): void {
    const entry = tasks.paused ? undefined : waiting.take()
    if (!entry || !processor) {
      taskCount--
      addTasks()
      return done(null)
    }
    const { record } = entry
    record.state = 'active'
    record.claims++
    record.startedAt = host.clock.now()
    active++
    slots++
    if (gate.count()) updateFlowAndTimer()
    host.emit('active', name, entry)
    const recorded = host.journal?.claimed(name, record)
    if (recorded) void recorded.then(() => run(entry, done))
    else run(entry, done)
  }

  function run(entry: JobEntry, taken: fastq.done): void {
    const { record } = entry
    let free = false
    const done: fastq.done = (error) => {
      if (free) return
      free = true
      slots--
      taskCount--
      addTasks()
      taken(error)
    }
    if (!processor) {
      // The consumer was closed before the claim was recorded, so no handler has seen the job.
      finish(entry, { type: 'defer', runAt: record.runAt }, done)
      return
    }
    const claimed = { ...record, data: cloneValue(record.data) }
    const progress = (value: number): void => {
      record.progress = value
      host.journal?.changed(name, record, ['progress'])
      host.emit('progress', name, entry)
    }
    const parked = (): void => done(null)
    void processor(claimed, { parked, progress }).then((settlement) => finish(entry, settlement, done))
  }

  function finish(entry: JobEntry, given: Settlement, done: fastq.done): void {
    const now = host.clock.now()
    const settlement = storable(given, now, (problem) => host.unstorable(entry, problem))
    settle(entry, settlement, now)
    host.journal?.changed(name, entry.record, changedBy(settlement))
    void (settlement.slot ? settlement.slot.then(() => done(null)) : done(null))
  }

  function settle(entry: JobEntry, settlement: Settlement, now: number): void {
    const { record, promoted } = entry
    active--
    if (gate.limited) updateFlow()
    if (active === 0) onIdle?.()
    entry.promoted = false
    switch (settlement.type) {
      case 'completed':
        record.result = cloneValue(settlement.result)
        return end(entry, 'completed', now)
      case 'failed':
        record.attemptsMade++
        record.error = settlement.error
        return end(entry, 'failed', now)
      case 'retry':
        record.attemptsMade++
        record.error = settlement.error
        record.runAt = settlement.runAt
        host.emit('retrying', name, entry)
        return admit(entry)
      case 'defer':
        record.runAt = promoted ? now : settlement.runAt
        if (settlement.crashed) record.crashes++
        if (settlement.holdQueue) hold(settlement.runAt)
        return admit(entry)
      case 'ended':
        if (settlement.result !== undefined) record.result = cloneValue(settlement.result)
        if (settlement.error) record.error = settlement.error
        return end(entry, settlement.state, now)
      case 'lost':
        // No other process can hold a job in memory, so the job becomes available again.
        return admit(entry)
    }
  }

  function hold(until: number): void {
    heldUntil = Math.max(heldUntil, until)
    updateFlowAndTimer()
  }

  function end(entry: JobEntry, state: EndState, now: number): void {
    entry.record.state = state
    entry.record.finishedAt = now
    host.ended(entry)
    host.emit(state, name, entry)
  }

  /** Removes a job that is not active from the waiting and delayed jobs. */
  function removeFromLists(entry: JobEntry): void {
    waiting.remove(entry)
    delayed.remove(entry)
  }

  return {
    jobs,
    get size() {
      return waiting.size + delayed.size
    },
    get hasConsumer() {
      return processor !== undefined
    },
    get paused() {
      return paused
    },
    setPaused(value: boolean) {
      if (paused === value) return
      paused = value
      host.journal?.paused(name, value)
      host.emit(value ? 'paused' : 'resumed', name)
      updateFlow()
    },
    limits: () => gate.limits,
    setLimits(change: Parameters<typeof gate.change>[0]) {
      const limits = gate.change(change)
      host.journal?.limited(name, limits)
      updateFlowAndTimer()
    },
    add(entry: JobEntry) {
      jobs.set(entry.record.id, entry)
      admit(entry)
      host.journal?.added(name, entry.record)
    },
    /** Restores jobs in their stored state. Waiting jobs are ordered by the moment from which they could run. */
    restore(entries: readonly JobEntry[]) {
      const since = ({ record }: JobEntry): number => record.finishedAt ?? Math.max(record.runAt, record.createdAt)
      for (const entry of entries) jobs.set(entry.record.id, entry)
      for (const entry of entries.toSorted((a, b) => since(a) - since(b))) {
        if (entry.record.finishedAt === undefined) admit(entry)
        else host.ended(entry)
      }
    },
    /** Makes an inactive job due at a moment, by default now. */
    readmit(entry: JobEntry, changes: Partial<JobRecord> = {}, runAt: number = host.clock.now()) {
      removeFromLists(entry)
      Object.assign(entry.record, changes, { runAt })
      admit(entry)
      host.journal?.changed(name, entry.record, ['state', 'runAt', ...(Object.keys(changes) as (keyof JobRecord)[])])
      armTimer()
    },
    cancel(entry: JobEntry) {
      removeFromLists(entry)
      end(entry, 'cancelled', host.clock.now())
      host.journal?.changed(name, entry.record, ['state', 'finishedAt'])
      armTimer()
    },
    remove(entry: JobEntry) {
      removeFromLists(entry)
      jobs.delete(entry.record.id)
      armTimer()
    },
    open(handle: Processor, concurrency: number): Consumer {
      const setConcurrency = (value: number): void => {
        tasks.concurrency = value
        addTasks()
      }
      processor = handle
      setConcurrency(concurrency)
      updateFlow()
      return {
        setConcurrency,
        async close({ timeout }) {
          processor = undefined
          updateFlow()
          if (active === 0) return
          const idle = Promise.withResolvers<void>()
          onIdle = idle.resolve
          // A shutdown is measured in real time, even if the jobs use a virtual clock.
          const timer = timeout === Infinity ? undefined : setTimeout(idle.resolve, timeout)
          await idle.promise
          clearTimeout(timer)
        },
      }
    },
    close: () => stopTimer?.(),
  }
}
export type LocalQueue = ReturnType<typeof createQueue>
