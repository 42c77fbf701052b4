import type { StoredEvent } from '../../../kernel/index.ts'
import type { InstanceFacts } from './facts.ts'

/** Data of `worker.registered` and `worker.heartbeat`. Each is complete, since those before it may be gone. */
interface Sign extends InstanceFacts {
  /** Milliseconds between its heartbeats. */
  heartbeat: number
}

/** An instance that is there. */
export interface InstanceInfo extends InstanceFacts {
  /** Milliseconds since the epoch of its last sign of life. */
  seenAt: number
}

/** How many heartbeats an instance may be silent. */
const SILENT = 3

/** The instances that neither said goodbye nor fell silent, the oldest first. */
export function foldInstances(newestFirst: readonly StoredEvent[], now: number): InstanceInfo[] {
  const seen = new Set<string>()
  const instances: InstanceInfo[] = []
  for (const { type, ts, data } of newestFirst) {
    const { heartbeat, ...facts } = data as Sign
    if (seen.has(facts.id)) continue
    seen.add(facts.id)
    if (type !== 'worker.stopped' && now - ts <= SILENT * heartbeat) instances.push({ ...facts, seenAt: ts })
  }
  return instances.toSorted((a, b) => a.startedAt - b.startedAt || (a.id < b.id ? -1 : 1))
}
