import type { StandardSchemaV1 } from '@standard-schema/spec'
import { z } from 'zod'
import {
  didYouMean,
  isText,
  QueueError,
  shown,
  type Kernel,
  type WorkerDefinition,
  type WorkerOptionCheck,
} from '../../../kernel/index.ts'
import type { FlowAccess } from '../lib/flow-access.ts'
import { placesOf } from '../lib/flow-places.ts'
import { inputSchemaOf } from '../../lib/json-schema.ts'
import { anyFunction, anySchema, workerOption } from '../../lib/worker-option.ts'
import type { QueryDefinition, UpdateDefinition } from './options.ts'

type Kind = 'queries' | 'updates'
interface Definitions {
  queries: QueryDefinition
  updates: UpdateDefinition
}

/** A query or an update as lists show it. */
export interface MessageInfo {
  name: string
  /** The JSON Schema of its input, if its schema can be converted. */
  input?: Record<string, unknown>
}

const named = z.string().refine((name) => isText(name))
const query = z.union([anyFunction, z.strictObject({ input: anySchema.optional(), run: anyFunction })])
const update = z.strictObject({
  input: anySchema.optional(),
  validate: anyFunction.optional(),
  handler: anyFunction,
})
const checks = {
  queries: workerOption('queries', z.record(named, query)),
  updates: workerOption('updates', z.record(named, update)),
}

/** Returns the check of the option `queries` or `updates` of a worker. */
export function checkMessages(kind: Kind): WorkerOptionCheck {
  return (value, worker) => {
    const { id, worker: config } = worker
    if (config.flow !== undefined) return checks[kind](value, worker)
    const message = `Worker "${id}" has "${kind}", but it is not part of a flow. Add the option "flow".`
    throw new QueueError('OPTION_INVALID', message, { details: { option: kind } })
  }
}

/** Refuses a worker whose queries or updates have a name that another worker of the same flow uses. */
export function assertDistinct({ registry }: Kernel, worker: WorkerDefinition): void {
  const flows = new Set(placesOf(worker).map(({ name }) => name))
  for (const kind of ['queries', 'updates'] as const) {
    const names = Object.keys(worker.worker[kind] ?? {})
    if (names.length === 0) continue
    for (const other of registry.workers) {
      const shared = other.id !== worker.id && placesOf(other).find(({ name }) => flows.has(name))
      const name = shared && names.find((one) => Object.hasOwn(other.worker[kind] ?? {}, one))
      if (!shared || name === undefined) continue
      const both = `workers "${other.id}" and "${worker.id}"`
      throw new QueueError(
        'FLOW_INVALID',
        `Flow "${shared.name}" has "${name}" twice in "${kind}": in ${both}. Rename one.`,
      )
    }
  }
}

const UNKNOWN = { queries: 'QUERY_UNKNOWN', updates: 'UPDATE_UNKNOWN' } as const
const SINGULAR = { queries: 'query', updates: 'update' } as const

/**
 * Finds a query or an update of a flow, and the worker that declares it.
 *
 * @throws QueueError `QUERY_UNKNOWN`, `UPDATE_UNKNOWN`, `FLOW_UNKNOWN`
 */
export function findMessage<K extends Kind>(
  flows: FlowAccess,
  kind: K,
  flow: string,
  name: string,
): { worker: WorkerDefinition; definition: Definitions[K] } {
  const workers = flows.workersOf(flow)
  for (const worker of workers) {
    const declared: Readonly<Record<string, unknown>> = worker.worker[kind] ?? {}
    if (!Object.hasOwn(declared, name)) continue
    const found = declared[name]
    return { worker, definition: (typeof found === 'function' ? { run: found } : found) as Definitions[K] }
  }
  const known = workers.flatMap(({ worker }) => Object.keys(worker[kind] ?? {}))
  const list = `There are: ${known.join(', ') || 'none'}.${didYouMean(name, known)}`
  throw new QueueError(UNKNOWN[kind], `Flow "${flow}" has no ${SINGULAR[kind]} ${shown(name)}. ${list}`, {
    retryable: false,
  })
}

/** Lists the queries or the updates of a flow, by name. */
export function listMessages(flows: FlowAccess, kind: Kind, flow: string): MessageInfo[] {
  return flows
    .workersOf(flow)
    .flatMap(({ worker }) => Object.entries<object>(worker[kind] ?? {}))
    .map(([name, definition]) => {
      const { input: schema } = definition as { input?: StandardSchemaV1 }
      const input = schema && inputSchemaOf(schema)
      return { name, ...(input && { input }) }
    })
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
}
