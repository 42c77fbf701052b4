import { hostname } from 'node:os'
import { isReserved, type Kernel } from '../../../kernel/index.ts'
import { placesOf } from '../../flow/lib/flow-places.ts'
import { limitsOf, type WorkerLimits } from '../../lib/worker-limits.ts'
import type { MissingStep } from '../lib/missing-steps.ts'

/** The description of an instance. */
export interface InstanceFacts {
  id: string
  host: string
  pid: number
  /** The version of this package. */
  version: string
  /** Milliseconds since the epoch. */
  startedAt: number
  workers: InstanceWorker[]
  /** The version of each flow whose entry step this instance has, by the name of the flow. */
  flows: Record<string, string>
  /** The memory of its process (resident set size), in bytes. */
  memory: number
  /** Steps that open runs of its flows need and that have no worker in its process, each with the number of the runs. */
  missing: { flow: string; step: string; runs: number }[]
}

export interface InstanceWorker {
  id: string
  queue: string
  name: string
  runtime: string
  concurrency: number
  /** Absent for a worker without limits. */
  limits?: WorkerLimits
  flows: { flow: string; role: string; step: string }[]
}

/** Returns the current description of this instance. Workers of plugins are omitted. */
export function factsOf(
  kernel: Kernel,
  { id, version, startedAt }: Pick<InstanceFacts, 'id' | 'version' | 'startedAt'>,
  found: readonly MissingStep[],
) {
  const own = kernel.registry.workers.filter(({ queue }) => !isReserved('queue', queue.name))
  const workers = own.map((worker): InstanceWorker => {
    const { runtime, concurrency } = worker.worker
    const flows = placesOf(worker).map(({ name, role, step = worker.id }) => ({ flow: name, role, step }))
    const limits = limitsOf(worker)
    const facts = { id: worker.id, queue: worker.queue.name, name: worker.name, runtime, concurrency }
    return { ...facts, ...(limits && { limits }), flows }
  })
  const entries = workers.flatMap(({ flows }) => flows.filter(({ role }) => role === 'entry'))
  const names = [...new Set(entries.map(({ flow }) => flow))]
  const flows = Object.fromEntries(names.map((name) => [name, kernel.flow(name).version]))
  const missing = found.map(({ flow, step, runs }) => ({ flow, step, runs: runs.length }))
  const memory = process.memoryUsage.rss()
  const facts = { id, host: hostname(), pid: process.pid, version, startedAt, workers, flows, memory, missing }
  return facts satisfies InstanceFacts
}
