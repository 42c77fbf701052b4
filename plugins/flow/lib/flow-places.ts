import type { WorkerConfig, WorkerDefinition } from '../../../kernel/index.ts'

type FlowOptions = Exclude<NonNullable<WorkerConfig['flow']>, readonly unknown[]>

/** Every place that a worker has in flows, with one name each. */
export function placesOf({ worker }: Pick<WorkerDefinition, 'worker'>): (FlowOptions & { name: string })[] {
  const places = worker.flow === undefined ? [] : [worker.flow].flat()
  return places.flatMap((place) => [place.name].flat().map((name) => ({ ...place, name })))
}

/** The one flow that a worker begins, as something to start; the worker itself when there is none, or several. */
export function startOf(worker: WorkerDefinition): { flow: string; entry: string } | { worker: string } {
  const [first, ...others] = placesOf(worker).filter(({ role }) => role === 'entry')
  if (!first || others.length > 0) return { worker: worker.id }
  return { flow: first.name, entry: first.step ?? worker.id }
}
