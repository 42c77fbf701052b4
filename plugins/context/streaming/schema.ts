import type { StandardSchemaV1 } from '@standard-schema/spec'
import { QueueError, type MaybePromise, type WorkerDefinition } from '../../../kernel/index.ts'
import { parse } from '../../lib/parse.ts'

/** A schema, or a schema with settings for its messages. */
export type ClientDeclaration =
  | StandardSchemaV1
  | {
      schema: StandardSchemaV1
      /** Whether messages of this type are stored, unless `send` overrides it. Default false. */
      store?: boolean
    }

/** The messages that a worker may send, by type. */
export type ClientOption = Readonly<Record<string, ClientDeclaration>>

export interface ClientSchemas {
  /** Returns the parsed data. @throws QueueError `VALIDATION_FAILED` */
  parse(type: string, data: unknown): MaybePromise<unknown>
  /** Returns whether messages of the type are stored by default. */
  stored(type: string): boolean
}

/** Used without a declaration: every type accepts all data. */
const anything: ClientSchemas = { parse: (_type, data) => data, stored: () => false }

/** @throws QueueError `WORKER_INVALID` if the option `client` is invalid */
export function createClientSchemas({ id, worker: { client } }: WorkerDefinition): ClientSchemas {
  if (client === undefined) return anything
  const table = tableOf(client, id)
  return {
    parse(type, data) {
      const declared = table.get(type)
      if (declared) return parse(declared.schema, data, `client message "${type}" of worker "${id}"`)
      const message = `Worker "${id}" declares no client message "${type}". It has: ${[...table.keys()].join(', ')}.`
      throw new QueueError('VALIDATION_FAILED', message, { details: { type } })
    },
    stored: (type) => table.get(type)?.store ?? false,
  }
}

function tableOf(client: ClientOption, id: string): Map<string, { schema: StandardSchemaV1; store?: boolean }> {
  const entries = typeof client === 'object' && client !== null ? Object.entries(client) : [['', client] as const]
  return new Map(
    entries.map(([type, given]) => {
      const declared = isSchema(given) ? { schema: given } : given
      const valid =
        isSchema((declared as { schema?: unknown } | null)?.schema) &&
        ['undefined', 'boolean'].includes(typeof declared.store)
      if (valid) return [type, declared]
      const hint = 'Each type of message needs a Standard Schema, or { schema, store }.'
      throw new QueueError('WORKER_INVALID', `Option "client" of worker "${id}" is invalid at "${type}". ${hint}`)
    }),
  )
}

function isSchema(value: unknown): value is StandardSchemaV1 {
  return (typeof value === 'object' || typeof value === 'function') && value !== null && '~standard' in value
}
