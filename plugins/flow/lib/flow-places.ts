import type { WorkerConfig, WorkerDefinition } from '../../../kernel/index.ts'

type FlowOptions = Exclude<NonNullable<WorkerConfig['flow']>, readonly unknown[]>

/** Returns the flow options of a worker, one entry for each flow. */
export function placesOf({ worker }: Pick<WorkerDefinition, 'worker'>): (FlowOptions & { name: string })[] {
  const places = worker.flow === undefined ? [] : [worker.flow].flat()
  return places.flatMap((place) => [place.name].flat().map((name) => ({ ...place, name })))
}

/** Returns the target that starts a worker: its flow if it is the entry of exactly one flow, otherwise the worker itself. */
export function startOf(worker: WorkerDefinition): { flow: string; entry: string } | { worker: string } {
  const [first, ...others] = placesOf(worker).filter(({ role }) => role === 'entry')
  if (!first || others.length > 0) return { worker: worker.id }
  return { flow: first.name, entry: first.step ?? worker.id }
}
