import { z } from 'zod'
import { QueueError, shown, unknownKey, type ErrorCode, type WorkerOptionCheck } from '../../kernel/index.ts'

interface OptionRules {
  /** The code of the error. Default `OPTION_INVALID`. */
  code?: ErrorCode
  /** Whether the value may also be a list. Each entry is then checked separately. Default false. */
  list?: boolean
}

/** Returns a check that validates one option of a worker's config with a schema. */
export function workerOption(
  key: string,
  shape: z.ZodType,
  { code, list = false }: OptionRules = {},
): WorkerOptionCheck {
  return (value, { id }) => {
    const owner = `worker "${id}"`
    if (!list || !Array.isArray(value)) return checkShape(shape, value, { key, owner, code })
    for (const [index, one] of value.entries()) checkShape(shape, one, { key: `${key}.${index}`, owner, code })
  }
}

/** Accepts any Standard Schema. */
export const anySchema = z.custom(isStandardSchema, 'is a Standard Schema, such as one of Zod')

/** Accepts any function. */
export const anyFunction = z.custom((value) => typeof value === 'function', 'is a function')

/** @throws QueueError that names the first invalid member and describes a valid value */
export function checkShape(
  shape: z.ZodType,
  value: unknown,
  { key, owner, code = 'OPTION_INVALID' }: { key: string; owner: string; code?: ErrorCode | undefined },
): void {
  const issue = shape.safeParse(value).error?.issues[0]
  if (!issue) return
  const what = `Option "${[key, ...issue.path.map(String)].join('.')}" of ${owner}`
  if (issue.code === 'unrecognized_keys') throw unknownKey(what, issue.keys[0]!, keysAt(shape, issue.path), code)
  const received = issue.path.reduce<unknown>(
    (inner, part) => (Object(inner) as Record<PropertyKey, unknown>)[part],
    value,
  )
  const wrong = issue.code === 'custom' ? issue.message : `is wrong: ${issue.message.replace(/^[A-Z][a-z ]+: /, '')}`
  const message = `${what} ${wrong}; got ${shown(received)}.`
  throw new QueueError(code, message, { retryable: false, details: { option: key } })
}

/** Returns the keys that the object at a path may have. */
function keysAt(shape: z.core.$ZodType, path: readonly PropertyKey[]): string[] {
  if (shape instanceof z.ZodOptional || shape instanceof z.ZodDefault) return keysAt(shape.unwrap(), path)
  if (shape instanceof z.ZodUnion) return [...new Set(shape.options.flatMap((option) => keysAt(option, path)))]
  const [first, ...rest] = path
  if (shape instanceof z.ZodArray && first !== undefined) return keysAt(shape.element, rest)
  if (!(shape instanceof z.ZodObject)) return []
  const inner = first === undefined ? undefined : (shape.shape as Record<PropertyKey, z.core.$ZodType>)[first]
  return inner ? keysAt(inner, rest) : Object.keys(shape.shape)
}

/** Whether a value implements Standard Schema. */
export function isStandardSchema(value: unknown): boolean {
  const { '~standard': standard } = Object(value) as { '~standard'?: { validate?: unknown } }
  return typeof standard?.validate === 'function'
}
