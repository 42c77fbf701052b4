import type { StandardSchemaV1 } from '@standard-schema/spec'
import { QueueError, type WorkerDefinition } from '../../../kernel/index.ts'
import { parseSync } from '../../lib/parse.ts'

/** The `state` option of a worker: an object schema that exposes the schemas of its keys as `shape`, as Zod does. */
export type StateOption = StandardSchemaV1<object, object> & {
  readonly shape: Readonly<Record<string, StandardSchemaV1>>
}

export interface StateSchema {
  /** Returns the value to store. @throws QueueError `VALIDATION_FAILED` */
  parse(key: string, value: unknown): unknown
  /** Returns the default of a key that was never written. */
  initial(key: string): unknown
}

/** Used without a schema: every key accepts every value. */
const anyState: StateSchema = { parse: (_key, value) => value, initial: () => undefined }

/** Creates the checks for an object schema. */
function createStateSchema({ shape }: StateOption, owner: string): StateSchema {
  function schemaOf(key: string): StandardSchemaV1 {
    const schema = Object.hasOwn(shape, key) ? shape[key] : undefined
    if (schema) return schema
    const message = `The state schema of ${owner} has no key "${key}". It has: ${Object.keys(shape).join(', ')}.`
    throw new QueueError('VALIDATION_FAILED', message, { details: { key } })
  }
  return {
    parse: (key, value) => parseSync(schemaOf(key), value, `state "${key}" of ${owner}`),
    initial(key) {
      const result = schemaOf(key)['~standard'].validate(undefined)
      return result instanceof Promise || result.issues ? undefined : result.value
    },
  }
}

/** Returns a function that returns the checks for the state of a worker. They are created once for each worker. */
export function createStateSchemas(): (worker: WorkerDefinition) => StateSchema {
  const schemas = new WeakMap<WorkerDefinition, StateSchema>()
  return (worker) => {
    const option = worker.worker.state
    if (!option) return anyState
    const schema = schemas.get(worker) ?? createStateSchema(option, `worker "${worker.id}"`)
    schemas.set(worker, schema)
    return schema
  }
}
