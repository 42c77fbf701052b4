import type { StandardSchemaV1 } from '@standard-schema/spec'
import { QueueError, type MaybePromise } from '../../kernel/index.ts'

type Result<T> = StandardSchemaV1.Result<T>

/**
 * Parses a value with a Standard Schema, such as one of Zod, Valibot or ArkType. Returns a promise only if the schema
 * is asynchronous.
 *
 * @param what the name of the value in the error, for example `data of job "mail"`
 * @throws QueueError `VALIDATION_FAILED` with one line per issue
 */
export function parse<T>(schema: StandardSchemaV1<unknown, T>, value: unknown, what: string): MaybePromise<T> {
  const result = schema['~standard'].validate(value)
  return result instanceof Promise ? result.then((settled) => accept(settled, what)) : accept(result, what)
}

/**
 * The same as `parse` for a schema that must be synchronous.
 *
 * @throws QueueError `VALIDATION_FAILED`, also for an asynchronous schema
 */
export function parseSync<T>(schema: StandardSchemaV1<unknown, T>, value: unknown, what: string): T {
  const result = schema['~standard'].validate(value)
  if (!(result instanceof Promise)) return accept(result, what)
  throw new QueueError('VALIDATION_FAILED', `The schema of the ${what} is asynchronous. Use a synchronous schema.`)
}

function accept<T>(result: Result<T>, what: string): T {
  if (!result.issues) return result.value
  const issues = result.issues.map(({ message, path = [] }) => ({
    path: path.map((part) => String(typeof part === 'object' ? part.key : part)).join('.'),
    message,
  }))
  const lines = issues.map(({ path, message }) => `  - ${path ? `${path}: ` : ''}${message}`)
  throw new QueueError('VALIDATION_FAILED', `The ${what} does not match its schema:\n${lines.join('\n')}`, {
    details: { issues },
  })
}
