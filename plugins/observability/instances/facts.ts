import { hostname } from 'node:os'
import { isReserved, type Kernel } from '../../../kernel/index.ts'
import { placesOf } from '../../flow/lib/flow-places.ts'

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
}

export interface InstanceWorker {
  id: string
  queue: string
  name: string
  runtime: string
  concurrency: number
  flows: { flow: string; role: string; step: string }[]
}

/** Returns the current description of this instance. Workers of plugins are left out. */
export function factsOf(
  kernel: Kernel,
  { id, version, startedAt }: Pick<InstanceFacts, 'id' | 'version' | 'startedAt'>,
) {
  const own = kernel.registry.workers.filter(({ queue }) => !isReserved('queue', queue.name))
  const workers = own.map((worker): InstanceWorker => {
    const { runtime, concurrency } = worker.worker
    const flows = placesOf(worker).map(({ name, role, step = worker.id }) => ({ flow: name, role, step }))
    return { id: worker.id, queue: worker.queue.name, name: worker.name, runtime, concurrency, flows }
  })
  const entries = workers.flatMap(({ flows }) => flows.filter(({ role }) => role === 'entry'))
  const names = [...new Set(entries.map(({ flow }) => flow))]
  const flows = Object.fromEntries(names.map((name) => [name, kernel.flow(name).version]))
  return { id, host: hostname(), pid: process.pid, version, startedAt, workers, flows } satisfies InstanceFacts
}
