import type { Clock, JobRecord, Lease, Processor, Settlement } from '../../kernel/index.ts'
import type { Consumer, OpenConsumer } from '../../plugins/adapters/lib/worker-manager.ts'

/** A process, as the consumers of the store see it. */
export interface ConsumingProcess {
  /** False while it is dead, starting or stalled. */
  readonly isAvailable: boolean
  /** The jobs that it has claimed. */
  readonly claims: Set<VirtualClaim>
  /** How far its clock is behind, in milliseconds. */
  readonly behind: number
  /** Runs a claimed job and resolves with its settlement, once the settlement has reached the store. */
  handle(claim: VirtualClaim, processor: Processor): Promise<void>
}

/** A job that a process has claimed. */
export interface VirtualClaim {
  readonly record: Readonly<JobRecord>
  readonly lease: Lease
  /** Called when the process learns that the job belongs to another claim now. */
  readonly lost: (() => void)[]
  /** Stores the settlement, unless the claim is over. */
  settle(settlement: Settlement): void
  /** Ends the claim although the handler may still run. */
  lapse(settlement: Settlement): void
  readonly isOver: boolean
}

interface Member {
  process: ConsumingProcess
  processor: Processor
  concurrency: number
  busy: number
}

export interface Consumers {
  /** Opens the consumer of a queue for a process. */
  open(process: ConsumingProcess): OpenConsumer
  /** Removes a process that has died. */
  remove(process: ConsumingProcess): void
  /** Call this when a process has become available or unavailable. */
  changed(): void
}

/** Distributes the jobs of each queue over the processes that consume it. The queue itself knows one consumer. */
export function createConsumers(clock: Clock, openQueue: OpenConsumer): Consumers {
  const queues = new Map<string, { members: Member[]; consumer: Consumer | undefined; last: number }>()

  function queueOf(name: string) {
    let queue = queues.get(name)
    if (!queue) queues.set(name, (queue = { members: [], consumer: undefined, last: 0 }))
    return queue
  }

  function update(name: string): void {
    const queue = queueOf(name)
    const total = queue.members.reduce(
      (sum, { process, concurrency }) => sum + (process.isAvailable ? concurrency : 0),
      0,
    )
    if (total === 0) {
      void queue.consumer?.close({ timeout: Infinity })
      queue.consumer = undefined
    } else if (queue.consumer) void queue.consumer.setConcurrency(total)
    else queue.consumer = openQueue(name, (record, lease) => deliver(name, record, lease), total) as Consumer
  }

  /** Returns the process with the most free slots. Processes with equally many take turns. */
  function pick(name: string): Member | undefined {
    const queue = queueOf(name)
    const from = (queue.last + 1) % queue.members.length
    const inTurn = [...queue.members.slice(from), ...queue.members.slice(0, from)]
    const free = ({ concurrency, busy }: Member): number => concurrency - busy
    const [first] = inTurn.filter(({ process }) => process.isAvailable).toSorted((a, b) => free(b) - free(a))
    if (first) queue.last = queue.members.indexOf(first)
    return first
  }

  function deliver(name: string, record: Readonly<JobRecord>, lease: Lease): Promise<Settlement> {
    const member = pick(name)
    if (!member) return Promise.resolve({ type: 'lost' })
    const { process } = member
    const { promise, resolve } = Promise.withResolvers<Settlement>()
    let isBusy = true
    let isOver = false
    const free = (): void => {
      if (!isBusy) return
      isBusy = false
      member.busy--
    }
    const end = (settlement: Settlement): void => {
      if (isOver) return
      isOver = true
      // A process whose clock is behind returns a job until the job is due for it. Without a pause, no time would pass.
      const isEarly = settlement.type === 'defer' && settlement.runAt <= clock.now() && process.behind > 0
      if (isEarly) clock.setTimeout(() => resolve(settlement), process.behind)
      else resolve(settlement)
    }
    const claim: VirtualClaim = {
      record,
      lease: {
        onLost: (callback) => void claim.lost.push(callback),
        parked() {
          free()
          if (!isOver) lease.parked?.()
        },
        progress: (value) => (isOver ? undefined : lease.progress(value)),
      },
      lost: [],
      get isOver() {
        return isOver
      },
      settle(settlement) {
        void Promise.resolve(settlement.slot).then(free)
        end(settlement)
      },
      lapse(settlement) {
        lease.parked?.()
        end(settlement)
      },
    }
    member.busy++
    process.claims.add(claim)
    void process.handle(claim, member.processor).finally(() => {
      free()
      process.claims.delete(claim)
    })
    return promise
  }

  return {
    open: (process) => (name, processor, concurrency) => {
      const member: Member = { process, processor, concurrency, busy: 0 }
      const { members } = queueOf(name)
      members.push(member)
      update(name)
      return {
        setConcurrency(value) {
          member.concurrency = value
          update(name)
        },
        close() {
          if (members.includes(member)) members.splice(members.indexOf(member), 1)
          update(name)
        },
      }
    },
    remove(process) {
      for (const [name, queue] of queues) {
        queue.members = queue.members.filter((member) => member.process !== process)
        update(name)
      }
    },
    changed() {
      for (const name of queues.keys()) update(name)
    },
  }
}
