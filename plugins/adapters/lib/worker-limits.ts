import type { JobRecord, Kernel, Lease, Processor, RegisteredWorker, Settlement } from '../../../kernel/index.ts'

export interface WorkerLimitsOptions {
  kernel: Pick<Kernel, 'clock'>
  /** The maximum number of claimed jobs of a queue that wait in this process for their workers. Default 100. */
  maxParked?: number
  /** The maximum time that a claimed job waits, in milliseconds. It then returns to the queue. Default: no limit. */
  maxWait?: number
}

/** The shortest and the longest deferral of a job whose worker is full, in milliseconds. */
const MIN_DEFERRAL = 100
const MAX_DEFERRAL = 30_000
/**
 * The longest deferral of the first deferred job, and its increase with each further deferred job, in milliseconds. The number of repeated
 * claims per second therefore does not grow with the number of deferred jobs.
 */
const FIRST_MAX_DEFERRAL = 1000
const DEFERRAL_GROWTH = 2
/** The assumed duration of a job until one has ended, in milliseconds. */
const ASSUMED_DURATION = 1000

interface Parked {
  record: Readonly<JobRecord>
  start(): void
  leave(settlement: Settlement): void
}

/** The jobs of one worker. */
interface Load {
  running: number
  parked: Parked[]
  /** The moving average of the duration of its jobs, in milliseconds. */
  averageDuration: number
  /** The estimated moment at which the worker has started all deferred jobs. */
  freeAt: number
  /** How many jobs were deferred since the worker was last free. */
  deferred: number
}

/**
 * Enforces the concurrency of each worker when several workers share the consumer of a queue.
 *
 * A claimed job whose worker is full is parked: it waits in this process without a slot of the consumer, so that jobs of
 * other workers can still be claimed. When `maxParked` jobs are parked, further ones return to the queue. Each is
 * deferred to the moment at which its worker will probably be free, so that it is not claimed again and again.
 */
export function createWorkerLimits(
  workers: ReadonlyMap<string, RegisteredWorker>,
  processor: Processor,
  { kernel, maxParked = 100, maxWait = Infinity }: WorkerLimitsOptions,
) {
  const loads = new Map<string, Load>()
  let parkedCount = 0
  let closed = false

  function loadOf(name: string): Load {
    let load = loads.get(name)
    if (!load) loads.set(name, (load = { running: 0, parked: [], averageDuration: 0, freeAt: 0, deferred: 0 }))
    return load
  }

  function limitOf(name: string): number {
    return workers.get(name)?.options.concurrency ?? Infinity
  }

  const process: Processor = (record, lease) => {
    if ((workers.size < 2 && loads.size === 0) || !workers.has(record.name)) return processor(record, lease)
    const load = loadOf(record.name)
    if (load.running < limitOf(record.name)) {
      load.freeAt = load.deferred = 0
      return run(load, record, lease)
    }
    if (closed) return Promise.resolve({ type: 'defer', runAt: record.runAt })
    return parkedCount < maxParked ? park(load, record, lease) : Promise.resolve(deferral(load, record))
  }

  async function run(load: Load, record: Readonly<JobRecord>, lease: Lease): Promise<Settlement> {
    const began = kernel.clock.now()
    let busy = true
    load.running++
    const free = (): void => {
      if (!busy) return
      busy = false
      load.running--
      fill(load, record.name)
    }
    const handled = (): void => {
      lease.handled?.()
      // With a concurrency of 1, the outcome of a job is stored before the next job starts.
      if (limitOf(record.name) > 1) free()
    }
    const settlement = await processor(record, { ...lease, handled })
    load.averageDuration += (kernel.clock.now() - began - load.averageDuration) / (load.averageDuration === 0 ? 1 : 8)
    if (settlement.slot && busy) void settlement.slot.then(free, free)
    else free()
    return settlement
  }

  function park(load: Load, record: Readonly<JobRecord>, lease: Lease): Promise<Settlement> {
    const { promise, resolve } = Promise.withResolvers<Settlement>()
    let timer: NodeJS.Timeout | undefined
    const unpark = (): void => {
      clearTimeout(timer)
      parkedCount--
      load.parked.splice(load.parked.indexOf(parked), 1)
    }
    const parked: Parked = {
      record,
      start() {
        unpark()
        resolve(run(load, record, lease))
      },
      leave(settlement) {
        unpark()
        resolve(settlement)
      },
    }
    parkedCount++
    load.parked.push(parked)
    lease.onLost?.(() => {
      if (load.parked.includes(parked)) parked.leave({ type: 'lost' })
    })
    if (maxWait !== Infinity) timer = setTimeout(() => parked.leave(deferral(load, record)), maxWait)
    lease.parked?.()
    return promise
  }

  function deferral(load: Load, { name }: Readonly<JobRecord>): Settlement {
    const now = kernel.clock.now()
    load.freeAt = Math.max(load.freeAt, now) + (load.averageDuration || ASSUMED_DURATION) / limitOf(name)
    const longest = Math.min(MAX_DEFERRAL, FIRST_MAX_DEFERRAL + DEFERRAL_GROWTH * load.deferred++)
    return { type: 'defer', runAt: now + Math.min(longest, Math.max(MIN_DEFERRAL, load.freeAt - now)) }
  }

  /** Starts parked jobs while the worker has room: the highest priority first, then in the order of their claims. */
  function fill(load: Load, name: string): void {
    while (load.parked.length > 0 && load.running < limitOf(name)) {
      let next = load.parked[0]!
      for (const one of load.parked) if (one.record.priority > next.record.priority) next = one
      next.start()
    }
  }

  function giveBack({ parked }: Load): void {
    for (const one of [...parked]) one.leave({ type: 'defer', runAt: one.record.runAt })
  }

  return {
    process,
    /** Call this when a worker was added, removed or changed. */
    changed(name: string): void {
      const load = loads.get(name)
      if (!load) return
      if (workers.has(name)) fill(load, name)
      else giveBack(load)
    },
    /** Returns all parked jobs to the queue. */
    close(): void {
      closed = true
      for (const load of loads.values()) giveBack(load)
    },
  }
}
export type WorkerSlots = ReturnType<typeof createWorkerLimits>
