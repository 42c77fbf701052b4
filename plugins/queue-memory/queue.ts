import fastq from 'fastq'
import type { Clock, JobRecord, Processor, QueueEvent, Settlement } from '../../kernel/index.ts'
import { ChurnMap } from '../_shared/churn-map.ts'
import { cloneValue } from '../_shared/value.ts'
import type { Consumer } from '../_shared/worker-manager.ts'
import { DelayedJobs, WaitingJobs, type Entry } from './waiting.ts'

export interface QueueHost {
  clock: Clock
  /** Runs a callback soon, outside the current call stack. */
  start(callback: () => void): void
  emit(event: QueueEvent, queue: string, entry?: Entry): void
  /** Told when a job has ended, to keep the order in which jobs expire. */
  ended(entry: Entry): void
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
    const claimed = { ...record, data: cloneValue(record.data) }
    const progress = (value: number): void => {
      record.progress = value
      host.emit('progress', name, entry)
    }
    void processor(claimed, { progress }).then((settlement) => {
      const { slot } = settlement
      settle(entry, settlement)
      if (slot) void slot.then(() => release(done))
      else release(done)
    })
  }

  function release(done: fastq.done): void {
    slots--
    endTask(done)
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
        if (settlement.holdQueue) hold(settlement.runAt)
        return admit(entry)
      case 'ended':
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
      host.emit(value ? 'paused' : 'resumed', name)
      updateFlow()
    },
    add(entry: Entry) {
      jobs.set(entry.record.id, entry)
      admit(entry)
    },
    /** Makes a delayed or ended job due now. */
    readmit(entry: Entry, changes: Partial<JobRecord> = {}) {
      unline(entry)
      Object.assign(entry.record, changes, { runAt: host.clock.now() })
      admit(entry)
      armTimer()
    },
    cancel(entry: Entry) {
      unline(entry)
      end(entry, 'cancelled')
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
export type MemoryQueue = ReturnType<typeof createQueue>
