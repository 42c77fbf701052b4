import { hostname } from 'node:os'
import { isReserved, type Kernel } from '../../../kernel/index.ts'
import { placesOf } from '../../flow/lib/flow-places.ts'

/** What an instance tells about itself. */
export interface InstanceFacts {
  id: string
  host: string
  pid: number
  /** Of this package. */
  version: string
  /** Milliseconds since the epoch. */
  startedAt: number
  workers: InstanceWorker[]
  /** The version of each flow that it knows an entry of. */
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

/** An instance as it is now: workers come and go. Those of plugins are not told. */
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
