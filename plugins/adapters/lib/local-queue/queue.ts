import fastq from 'fastq'
import type { Clock, JobRecord, Processor, QueueEvent, Settlement } from '../../../../kernel/index.ts'
import { ChurnMap } from '../churn-map.ts'
import { storable } from '../storable.ts'
import { cloneValue } from '../../../lib/value.ts'
import type { Consumer } from '../worker-manager.ts'
import { changedBy, type QueueJournal } from './journal.ts'
import { DelayedJobs, WaitingJobs, type Entry } from './waiting.ts'

export interface QueueHost {
  clock: Clock
  /** Runs a callback soon, outside the current call stack. */
  start(callback: () => void): void
  emit(event: QueueEvent, queue: string, entry?: Entry): void
  /** Told when how a job ended is nothing that can be kept. */
  unstorable(entry: Entry, problem: string): void
  /** Told when a job has ended, to keep the order in which jobs expire. */
  ended(entry: Entry): void
  journal?: QueueJournal
}

type EndState = 'completed' | 'failed' | 'cancelled'

/**
 * One queue. `fastq` runs a task for each job that may start and keeps the concurrency; which job a
 * task takes is decided when it starts, so that an urgent late-comer overtakes.
 */
export function createQueue(name: string, host: QueueHost) {
  const jobs = new ChurnMap<string, Entry>()
  const waiting = new WaitingJobs()
  const delayed = new DelayedJobs()
  let active = 0
  /** Slots that are taken, by active jobs or by code that outlived its job. */
  let slots = 0
  /** Tasks in `tasks`, queued or running: as many as could run, however long the line. */
  let taskCount = 0
  let processor: Processor | undefined
  let paused = false
  let heldUntil = 0
  let stopTimer: (() => void) | undefined
  let timerAt = Infinity
  let onIdle: (() => void) | undefined

  const tasks = fastq<undefined>((_task, done) => host.start(() => claim(done)), 1)
  tasks.pause()

  /** Takes tasks when there is a consumer and nothing holds the queue. */
  function updateFlow(): void {
    const open = processor !== undefined && !paused && heldUntil <= host.clock.now()
    if (open === !tasks.paused) return
    if (open) tasks.resume()
    else tasks.pause()
  }

  /** Puts a job where it belongs by its `runAt`. */
  function admit(entry: Entry): void {
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

  /** One timer for the next moment at which something is due. */
  function armTimer(): void {
    const held = heldUntil > host.clock.now() ? heldUntil : Infinity
    const at = Math.min(delayed.next() ?? Infinity, held)
    if (at === timerAt) return
    stopTimer?.()
    timerAt = at
    stopTimer = at === Infinity ? undefined : host.clock.setTimeout(wake, Math.max(0, at - host.clock.now()))
  }

  function wake(): void {
    timerAt = Infinity
    const now = host.clock.now()
    for (let entry = delayed.takeDue(now); entry; entry = delayed.takeDue(now)) admit(entry)
    updateFlow()
    armTimer()
  }

  function claim(done: fastq.done): void {
    const entry = tasks.paused ? undefined : waiting.take()
    if (!entry || !processor) return endTask(done)
    const { record } = entry
    record.state = 'active'
    record.claims++
    record.startedAt = host.clock.now()
    active++
    slots++
    host.emit('active', name, entry)
    const noted = host.journal?.claimed(name, record)
    if (noted) void noted.then(() => run(entry, done))
    else run(entry, done)
  }

  function run(entry: Entry, taken: fastq.done): void {
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
      // Closed between the claim and its note: nobody has seen the job.
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

  function finish(entry: Entry, given: Settlement, done: fastq.done): void {
    const settlement = storable(given, host.clock.now(), (problem) => host.unstorable(entry, problem))
    const { slot } = settlement
    settle(entry, settlement)
    host.journal?.changed(name, entry.record, changedBy(settlement))
    if (slot) void slot.then(() => done(null))
    else done(null)
  }

  function endTask(done: fastq.done): void {
    taskCount--
    addTasks()
    done(null)
  }

  function settle(entry: Entry, settlement: Settlement): void {
    const { record } = entry
    active--
    if (active === 0) onIdle?.()
    const { promoted } = entry
    entry.promoted = false
    switch (settlement.type) {
      case 'completed':
        record.result = cloneValue(settlement.result)
        return end(entry, 'completed')
      case 'failed':
        record.attemptsMade++
        record.error = settlement.error
        return end(entry, 'failed')
      case 'retry':
        record.attemptsMade++
        record.error = settlement.error
        record.runAt = settlement.runAt
        host.emit('retrying', name, entry)
        return admit(entry)
      case 'defer':
        record.runAt = promoted ? host.clock.now() : settlement.runAt
        if (settlement.crashed) record.crashes++
        if (settlement.holdQueue) hold(settlement.runAt)
        return admit(entry)
      case 'ended':
        if (settlement.result !== undefined) record.result = cloneValue(settlement.result)
        if (settlement.error) record.error = settlement.error
        return end(entry, settlement.state)
      case 'lost':
        // Nobody else can hold a job in memory, so it is handed out again.
        return admit(entry)
    }
  }

  function hold(until: number): void {
    heldUntil = Math.max(heldUntil, until)
    updateFlow()
    armTimer()
  }

  function end(entry: Entry, state: EndState): void {
    entry.record.state = state
    entry.record.finishedAt = host.clock.now()
    host.ended(entry)
    host.emit(state, name, entry)
  }

  /** Takes a job that is not active out of its line. */
  function unline(entry: Entry): void {
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
    add(entry: Entry) {
      jobs.set(entry.record.id, entry)
      admit(entry)
      host.journal?.added(name, entry.record)
    },
    /** Takes jobs in as they were. Those that wait line up by the moment from which they could run. */
    restore(entries: readonly Entry[]) {
      const since = ({ record }: Entry): number => record.finishedAt ?? Math.max(record.runAt, record.createdAt)
      for (const entry of entries) jobs.set(entry.record.id, entry)
      for (const entry of entries.toSorted((a, b) => since(a) - since(b))) {
        if (entry.record.finishedAt === undefined) admit(entry)
        else host.ended(entry)
      }
    },
    /** Makes a delayed or ended job due now. */
    readmit(entry: Entry, changes: Partial<JobRecord> = {}) {
      unline(entry)
      Object.assign(entry.record, changes, { runAt: host.clock.now() })
      admit(entry)
      host.journal?.changed(name, entry.record, ['state', 'runAt', ...(Object.keys(changes) as (keyof JobRecord)[])])
      armTimer()
    },
    cancel(entry: Entry) {
      unline(entry)
      end(entry, 'cancelled')
      host.journal?.changed(name, entry.record, ['state', 'finishedAt'])
      armTimer()
    },
    remove(entry: Entry) {
      unline(entry)
      jobs.delete(entry.record.id)
      armTimer()
    },
    open(handle: Processor, concurrency: number): Consumer {
      processor = handle
      tasks.concurrency = concurrency
      addTasks()
      updateFlow()
      return {
        setConcurrency(value) {
          tasks.concurrency = value
          addTasks()
        },
        async close({ timeout }) {
          processor = undefined
          updateFlow()
          if (active === 0) return
          const idle = Promise.withResolvers<void>()
          onIdle = idle.resolve
          // Shutdown is real time, whatever clock the jobs run on.
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
