import { assertPoint } from './failpoints.ts'
import type { Random } from './random.ts'

export type Fault =
  | { at: number; kind: 'kill'; process: number; failpoint?: Failpoint; skew: number }
  | { at: number; kind: 'store-kill'; down: number }
  | { at: number; kind: 'store-freeze'; for: number }
  | { at: number; kind: 'cut' }

/** The point at which the replacement of a killed process kills itself, when it reaches the point for the nth time. */
export interface Failpoint {
  name: string
  nth: number
}

export interface ScheduleOptions {
  seconds: number
  /** How many processes there are to kill. */
  processes: number
  /** Faults of a store that is a separate process. */
  store: boolean
  lease: number
}

const FAILPOINTS = [
  'enqueue:before',
  'enqueue:after',
  'dispatch:before',
  'dispatch:after',
  'emit:before:step.started',
  'emit:after:step.started',
  'emit:before:state.set',
  'emit:after:state.set',
  'emit:before:step.completed',
  'emit:after:step.completed',
  'emit:before:step.retry',
  'emit:after:step.retry',
  'emit:after:step.failed',
  'emit:before:flow.started',
  'emit:after:flow.started',
  'emit:before:step.queued',
  'emit:after:step.queued',
  'emit:before:flow.completed',
  'emit:after:flow.completed',
  'emit:before:step.awaiting',
  'emit:after:step.awaiting',
  'emit:after:step.deferred',
  'emit:before:step.resumed',
  'emit:after:step.resumed',
  'emit:after:step.memo',
  'emit:after:step.returned',
  'emit:after:flow.child',
  'emit:before:wait.registered',
  'emit:after:wait.registered',
  'emit:before:wait.event',
  'emit:after:wait.event',
  'emit:after:wait.closed',
]

for (const name of FAILPOINTS) assertPoint(name)

/** Creates a kill of each process about every two seconds, and each fault of the store about every fifteen seconds, at least three times. */
export function createSchedule(random: Random, { seconds, processes, store, lease }: ScheduleOptions): Fault[] {
  const ms = seconds * 1000
  const faults: Fault[] = []
  const spread = (count: number, fault: (at: number) => Fault): void => {
    const span = ms / count
    for (let n = 0; n < count; n++) faults.push(fault(Math.floor(n * span + random.between(0, span * 0.8))))
  }
  let turn = random.between(0, FAILPOINTS.length - 1)
  /** Uses one failpoint after the other, so that a long run uses all of them. */
  const nextFailpoint = (): string => FAILPOINTS[turn++ % FAILPOINTS.length]!
  spread(Math.max(3, Math.ceil(seconds / 2.4)), (at) => ({
    at,
    kind: 'kill',
    process: random.between(0, processes - 1),
    failpoint: random.between(0, 2) === 0 ? undefined : { name: nextFailpoint(), nth: random.between(1, 20) },
    skew: random.between(-2000, 2000),
  }))
  if (store) {
    const often = Math.max(1, Math.round(seconds / 15))
    spread(Math.max(often, seconds >= 30 ? 3 : 1), (at) => ({
      at,
      kind: 'store-kill',
      down: random.between(100, 2000),
    }))
    spread(Math.max(1, Math.round(seconds / 30)), (at) => ({
      at,
      kind: 'store-freeze',
      for: lease + random.between(500, 1500),
    }))
    spread(often, (at) => ({ at, kind: 'cut' }))
  }
  return faults.toSorted((a, b) => a.at - b.at)
}
