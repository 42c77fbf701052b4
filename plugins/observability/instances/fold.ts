import type { StoredEvent } from '../../../kernel/index.ts'
import type { InstanceFacts } from './facts.ts'

/** The data of `worker.registered` and `worker.heartbeat`. Each is complete, because earlier events may be trimmed. */
interface Heartbeat extends InstanceFacts {
  /** Milliseconds between its heartbeats. */
  heartbeat: number
}

/** A running instance. */
export interface InstanceInfo extends InstanceFacts {
  /** When its last heartbeat arrived, in milliseconds since the epoch. */
  seenAt: number
}

/** How many heartbeats an instance may miss. */
const MISSED_HEARTBEATS = 3

/** Returns the instances that have neither stopped nor missed too many heartbeats, oldest first. */
export function foldInstances(newestFirst: readonly StoredEvent[], now: number): InstanceInfo[] {
  const seen = new Set<string>()
  const instances: InstanceInfo[] = []
  for (const { type, ts, data } of newestFirst) {
    const { heartbeat, ...facts } = data as Heartbeat
    if (seen.has(facts.id)) continue
    seen.add(facts.id)
    if (type !== 'worker.stopped' && now - ts <= MISSED_HEARTBEATS * heartbeat) instances.push({ ...facts, seenAt: ts })
  }
  return instances.toSorted((a, b) => a.startedAt - b.startedAt || (a.id < b.id ? -1 : 1))
}
