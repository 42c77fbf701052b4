import { createHash } from 'node:crypto'
import { didYouMean, QueueError, type Registry, type WorkerDefinition } from '../../../kernel/index.ts'
import { placesOf } from '../lib/flow-places.ts'
import type { FlowOptions } from './options.ts'

export interface FlowStep {
  step: string
  worker: WorkerDefinition
  role: FlowOptions['role']
  subscribes: readonly string[]
  emits: readonly string[] | undefined
  /** How events start this step: one job for each event, one job after enough events have arrived, or one job by fan-in. */
  trigger: 'each' | 'join' | 'gather'
  /** How many different events a join waits for. */
  needs: number
  /** A join receives the payload of the first event instead of an object with all payloads. */
  single: boolean
  cancelsLosers: boolean
  gather: string | undefined
  limit: number | undefined
  onError: 'fail' | 'continue' | 'compensate'
  compensates: string | undefined
}

export interface FlowGraph {
  name: string
  version: string
  /** Whether runs stay on the version with which they began. */
  pin: boolean
  entries: readonly FlowStep[]
  steps: ReadonlyMap<string, FlowStep>
  /** Steps by the event they subscribe to. */
  subscribers: ReadonlyMap<string, readonly FlowStep[]>
  /** Steps by the fan-out event whose jobs they gather. */
  gatherers: ReadonlyMap<string, readonly FlowStep[]>
  /** Compensations by the step they undo. */
  compensations: ReadonlyMap<string, FlowStep>
}

/** @throws QueueError `FLOW_UNKNOWN`, `FLOW_INVALID` */
export function buildGraph(name: string, registry: Registry): FlowGraph {
  const all = registry.workers.flatMap((worker) =>
    placesOf(worker)
      .filter((place) => place.name === name)
      .map((place) => toStep(worker, place)),
  )
  const entries = all.filter(({ role }) => role === 'entry')
  if (entries.length === 0) throw unknownFlow(name, registry)
  const steps = new Map<string, FlowStep>()
  for (const step of all) {
    const there = steps.get(step.step)
    if (there) {
      throw invalid(name, `has two steps "${step.step}": ${there.worker.id} and ${step.worker.id}. Rename one`)
    }
    steps.set(step.step, step)
  }
  const compensations = all.filter(({ role }) => role === 'compensation')
  for (const { step, compensates } of compensations) {
    if (steps.has(compensates!)) continue
    throw invalid(name, `has a compensation "${step}" for "${compensates}", which is not one of its steps`)
  }
  const events = [...new Set(all.flatMap(({ subscribes }) => subscribes))]
  const gathered = [...new Set(all.flatMap(({ gather }) => gather ?? []))]
  return {
    name,
    version: entries.map((entry) => placeOf(entry, name)?.version).find(Boolean) ?? hash(all),
    pin: entries.some((entry) => placeOf(entry, name)?.pin),
    entries,
    steps,
    subscribers: new Map(events.map((event) => [event, all.filter((step) => step.subscribes.includes(event))])),
    gatherers: new Map(gathered.map((event) => [event, all.filter((step) => step.gather === event)])),
    compensations: new Map(compensations.map((step) => [step.compensates!, step])),
  }
}

function toStep(worker: WorkerDefinition, place: FlowOptions & { name: string }): FlowStep {
  const { name, role, step = worker.id, subscribes = [], join = 'all', gather, emits, limit, onError = 'fail' } = place
  const events = [subscribes].flat()
  const wrong = (what: string): QueueError => invalid(name, `: worker "${worker.id}" ${what}`)
  if (role === 'step' && events.length === 0) throw wrong('is a step and needs "subscribes"')
  if ((role === 'compensation') !== (place.compensates !== undefined)) {
    throw wrong('needs role "compensation" and "compensates" together')
  }
  if (role === 'compensation' && events.length > 0) throw wrong('is a compensation and may not have "subscribes"')
  if (typeof join === 'number' && !(Number.isInteger(join) && join >= 1 && join <= events.length)) {
    throw wrong(`joins ${join} of ${events.length} events; give a whole number from 1 to ${events.length}`)
  }
  if (limit !== undefined && !(Number.isInteger(limit) && limit >= 1)) {
    throw wrong(`has a "limit" of ${limit}; give a whole number from 1`)
  }
  const needs = join === 'all' ? events.length : join === 'any' ? 1 : join
  return {
    step,
    worker,
    role,
    subscribes: events,
    emits,
    trigger: gather !== undefined ? 'gather' : events.length > 1 ? 'join' : 'each',
    needs,
    single: join === 'any',
    cancelsLosers: place.losers === 'cancel',
    gather,
    limit,
    onError,
    compensates: place.compensates,
  }
}

/** Returns the steps from which every path leads to the join. Their work is useless after the join has run. */
export function losersOf({ steps, subscribers }: FlowGraph, join: FlowStep): ReadonlySet<string> {
  const losers = new Set<string>()
  const leadsIn = ({ step }: FlowStep): boolean => step === join.step || losers.has(step)
  for (let before = -1; before < losers.size;) {
    before = losers.size
    for (const { step, emits = [], trigger } of steps.values()) {
      const next = emits.map((event) => subscribers.get(event) ?? [])
      if (trigger !== 'gather' && next.length > 0 && next.every((list) => list.length > 0 && list.every(leadsIn))) {
        losers.add(step)
      }
    }
  }
  return losers
}

/** @throws QueueError `FLOW_INVALID` for an event that the step does not declare, or that no step subscribes to */
export function assertEmits({ name, subscribers, gatherers, steps }: FlowGraph, step: string, event: string): void {
  const declared = steps.get(step)?.emits
  const allowed = declared ?? [...new Set([...subscribers.keys(), ...gatherers.keys()])]
  if (allowed.includes(event)) return
  const hint = declared ? 'Add it to "emits".' : 'No step subscribes to it.'
  throw new QueueError(
    'FLOW_INVALID',
    `Step "${step}" of flow "${name}" may not emit "${event}". ${hint} It may emit: ${allowed.join(', ') || 'nothing'}.`,
  )
}

/**
 * Checks an event that no job emits.
 *
 * @throws QueueError `FLOW_INVALID` for an event that no step subscribes to, or whose jobs a step gathers
 */
export function assertStarts({ name, subscribers, gatherers }: FlowGraph, event: string): void {
  if (subscribers.has(event) && !gatherers.has(event)) return
  const what = gatherers.has(event)
    ? `Event "${event}" of flow "${name}" fans out, so only a handler may emit it.`
    : `No step of flow "${name}" subscribes to event "${event}".`
  const allowed = [...subscribers.keys()].filter((one) => !gatherers.has(one))
  throw new QueueError(
    'FLOW_INVALID',
    `${what} There are: ${allowed.join(', ') || 'none'}.${didYouMean(event, allowed)}`,
  )
}

/** @throws QueueError `FLOW_INVALID` when the named entry does not exist, or several exist and none is named */
export function entryOf({ name, entries }: FlowGraph, wanted: string | undefined): FlowStep {
  const found = wanted === undefined ? entries : entries.filter(({ step }) => step === wanted)
  if (found.length === 1) return found[0]!
  const list = entries.map(({ step }) => `"${step}"`).join(', ')
  const what = wanted === undefined ? `has ${entries.length} entries` : `has no entry "${wanted}"`
  throw invalid(name, `${what}: name one of ${list}, as start(input, { entry })`)
}

function placeOf({ worker, step }: FlowStep, flow: string): FlowOptions | undefined {
  return placesOf(worker).find((place) => place.name === flow && (place.step ?? worker.id) === step)
}

function hash(steps: readonly FlowStep[]): string {
  const shape = steps.map(({ worker: _worker, ...rest }) => rest).toSorted((a, b) => (a.step < b.step ? -1 : 1))
  return createHash('sha256').update(JSON.stringify(shape)).digest('hex').slice(0, 8)
}

function unknownFlow(name: string, registry: Registry): QueueError {
  const places = registry.workers.flatMap(placesOf).filter(({ role }) => role === 'entry')
  const known = [...new Set(places.map((place) => place.name))].join(', ') || 'none'
  return new QueueError('FLOW_UNKNOWN', `No worker is the entry of flow "${name}". Flows: ${known}.`)
}

function invalid(flow: string, what: string): QueueError {
  return new QueueError('FLOW_INVALID', `Flow "${flow}" ${what}.`.replace(' : ', ': '))
}
