import type { StandardSchemaV1 } from '@standard-schema/spec'
import { QueueError } from '../../../kernel/index.ts'
import { parseSync } from '../../lib/parse.ts'

/** What a worker's `state` option has to look like: an object schema that tells the schemas of its keys, as Zod's does. */
export type StateOption = StandardSchemaV1<object, object> & {
  readonly shape: Readonly<Record<string, StandardSchemaV1>>
}

export interface StateSchema {
  /** The value as stored. @throws QueueError `VALIDATION_FAILED` */
  parse(key: string, value: unknown): unknown
  /** What a key that was never written has by its schema's default. */
  initial(key: string): unknown
}

/** Without a schema every key takes every value. */
export const anyState: StateSchema = { parse: (_key, value) => value, initial: () => undefined }

export function createStateSchema({ shape }: StateOption, owner: string): StateSchema {
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
