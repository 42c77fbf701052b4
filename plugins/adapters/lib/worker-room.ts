import type { JobRecord, Kernel, Lease, Processor, RegisteredWorker, Settlement } from '../../../kernel/index.ts'

export interface RoomOptions {
  kernel: Pick<Kernel, 'clock'>
  /** How many claimed jobs of a queue may wait here for their workers at most. Default 100. */
  mostParked?: number
  /** Milliseconds that one waits at most, before others may have it. Default: no limit. */
  longestWait?: number
}

/** Milliseconds that a job of a full worker is put off, at the least and at the most. */
const SHORTEST = 100
const LONGEST = 30_000
/** The most for the first ones, and by how much it grows with each, so that many cost no more claims a second than few. */
const FIRST_LONGEST = 1000
const GROWTH = 2
/** What a job is thought to take as long as none has ended, in milliseconds. */
const GUESS = 1000

interface Parked {
  record: Readonly<JobRecord>
  start(): void
  leave(settlement: Settlement): void
}

/** What one worker has taken. */
interface Load {
  running: number
  parked: Parked[]
  /** Milliseconds that its jobs take, about. */
  average: number
  /** When it will have come to what was put off already, and how many those are. */
  freeAt: number
  putOff: number
}

/**
 * Keeps the limit of each worker where several share the consumer of a queue. A job whose worker is full waits
 * here and takes no slot, so that jobs of the others are claimed past it. Beyond a number, jobs go back to the queue
 * until about when their worker will come to them, each its own moment, so that none is claimed over and over.
 */
export function createRoom(
  workers: ReadonlyMap<string, RegisteredWorker>,
  processor: Processor,
  { kernel, mostParked = 100, longestWait = Infinity }: RoomOptions,
) {
  const loads = new Map<string, Load>()
  let parkedCount = 0
  let closed = false

  function loadOf(name: string): Load {
    let load = loads.get(name)
    if (!load) loads.set(name, (load = { running: 0, parked: [], average: 0, freeAt: 0, putOff: 0 }))
    return load
  }

  function limitOf(name: string): number {
    return workers.get(name)?.options.concurrency ?? Infinity
  }

  const process: Processor = (record, lease) => {
    if ((workers.size < 2 && loads.size === 0) || !workers.has(record.name)) return processor(record, lease)
    const load = loadOf(record.name)
    if (load.running < limitOf(record.name)) {
      load.freeAt = load.putOff = 0
      return run(load, record, lease)
    }
    if (closed) return Promise.resolve({ type: 'defer', runAt: record.runAt })
    return parkedCount < mostParked ? park(load, record, lease) : putOff(load, record)
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
      // One after the other means that the end of one is stored before the next begins.
      if (limitOf(record.name) > 1) free()
    }
    const settlement = await processor(record, { ...lease, handled })
    load.average += (kernel.clock.now() - began - load.average) / (load.average === 0 ? 1 : 8)
    if (settlement.slot && busy) void settlement.slot.then(free, free)
    else free()
    return settlement
  }

  function park(load: Load, record: Readonly<JobRecord>, lease: Lease): Promise<Settlement> {
    const { promise, resolve } = Promise.withResolvers<Settlement>()
    let timer: NodeJS.Timeout | undefined
    const over = (): void => {
      clearTimeout(timer)
      parkedCount--
      load.parked.splice(load.parked.indexOf(parked), 1)
    }
    const parked: Parked = {
      record,
      start() {
        over()
        resolve(run(load, record, lease))
      },
      leave(settlement) {
        over()
        resolve(settlement)
      },
    }
    parkedCount++
    load.parked.push(parked)
    lease.onLost?.(() => {
      if (load.parked.includes(parked)) parked.leave({ type: 'lost' })
    })
    if (longestWait !== Infinity) timer = setTimeout(() => parked.leave(deferral(load, record)), longestWait)
    lease.parked?.()
    return promise
  }

  function deferral(load: Load, { name }: Readonly<JobRecord>): Settlement {
    const now = kernel.clock.now()
    load.freeAt = Math.max(load.freeAt, now) + (load.average || GUESS) / limitOf(name)
    const longest = Math.min(LONGEST, FIRST_LONGEST + GROWTH * load.putOff++)
    return { type: 'defer', runAt: now + Math.min(longest, Math.max(SHORTEST, load.freeAt - now)) }
  }

  const putOff = (load: Load, record: Readonly<JobRecord>): Promise<Settlement> =>
    Promise.resolve(deferral(load, record))

  /** The most urgent first, then in the order of their claims. */
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
    /** A worker has come, gone or changed. */
    changed(name: string): void {
      const load = loads.get(name)
      if (!load) return
      if (workers.has(name)) fill(load, name)
      else giveBack(load)
    },
    /** Gives back what waits. */
    close(): void {
      closed = true
      for (const load of loads.values()) giveBack(load)
    },
  }
}
export type Room = ReturnType<typeof createRoom>
