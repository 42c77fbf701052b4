import type { StandardSchemaV1 } from '@standard-schema/spec'
import { distance, QueueError } from '../kernel/index.ts'
import { CHILD_VARIABLES, VARIABLE_PREFIX } from '../plugins/runtimes/lib/child-process/variables.ts'

/** The known settings. */
export interface Settings {
  /** The names of sections and of top-level settings. */
  keys: readonly string[]
  /** The schemas of sections, by their names. */
  schemas: ReadonlyMap<string, StandardSchemaV1 | undefined>
}

/** The words of a variable name after `NUXT_QUEUE_`. */
type Words = readonly string[]

/**
 * Reads configuration from `NUXT_QUEUE_*` variables. `NUXT_QUEUE_PAYLOAD_LIMIT` sets `payloadLimit`, and
 * `NUXT_QUEUE_MEMORY_MAX_QUEUE_SIZE` sets `memory.maxQueueSize`: the name begins with the longest matching section, and the rest
 * is one key. A value is parsed as JSON if possible, and is a text otherwise. It also stays a text if the section accepts only
 * text (`NUXT_QUEUE_REDIS_PREFIX=2026`). Variables that the engine sets for its child processes are ignored.
 *
 * @param sections the names of the sections, such as `memory` or `redis`
 * @param settings the known settings. If given, variables that name none of them are ignored
 * @throws QueueError `CONFIG_INVALID` for a variable that names no setting but is similar to one
 */
export function configFromEnv(
  env: Readonly<Record<string, string | undefined>>,
  sections: readonly string[],
  settings?: Settings,
): Record<string, unknown> {
  const config: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(env)) {
    if (!name.startsWith(VARIABLE_PREFIX) || value === undefined || value === '' || CHILD_VARIABLES.has(name)) continue
    const words = name.slice(VARIABLE_PREFIX.length).toLowerCase().split('_')
    const path = pathOf(words, sections)
    if (settings && !isSetting(name, path[0]!, settings.keys)) continue
    setPath(config, path, read(value, path, settings?.schemas.get(path[0]!)))
  }
  return config
}

function pathOf(words: Words, sections: readonly string[]): string[] {
  for (let length = words.length - 1; length > 0; length--) {
    const section = sections.find((name) => name.toLowerCase().replaceAll('-', '') === words.slice(0, length).join(''))
    if (section !== undefined) return [section, ...nested(section, words.slice(length))]
  }
  return [camelCase(words)]
}

/** Splits nested settings. Only `retention` has nested sections, such as `retention.completed.age`. */
function nested(section: string, words: Words): string[] {
  return section === 'retention' && words.length > 1 && ['completed', 'failed', 'cancelled'].includes(words[0]!)
    ? [words[0]!, camelCase(words.slice(1))]
    : [camelCase(words)]
}

function camelCase([first = '', ...rest]: Words): string {
  return first + rest.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('')
}

function setPath(target: Record<string, unknown>, [key, ...rest]: readonly string[], value: unknown): void {
  if (rest.length === 0) target[key!] = value
  else setPath((target[key!] ??= {}) as Record<string, unknown>, rest, value)
}

/** The minimum length of a name for which similar names are suggested. */
const MIN_LENGTH = 6

function isSetting(variable: string, key: string, keys: readonly string[]): boolean {
  if (keys.includes(key)) return true
  const near = key.length < MIN_LENGTH ? undefined : keys.find((known) => distance(key, known) <= 2)
  if (near === undefined) return false
  throw new QueueError('CONFIG_INVALID', `The variable ${variable} matches no setting. Did you mean "${near}"?`, {
    details: { variable },
  })
}

/** Parses a value as JSON. Keeps the text if the section rejects the parsed value and accepts the text. */
function read(text: string, path: readonly string[], schema: StandardSchemaV1 | undefined): unknown {
  const value = parsed(text)
  if (schema === undefined || typeof value === 'string' || path.length !== 2) return value
  return rejects(schema, path[1]!, value) && !rejects(schema, path[1]!, text) ? text : value
}

function rejects(schema: StandardSchemaV1, key: string, value: unknown): boolean {
  const result = schema['~standard'].validate({ [key]: value })
  if (result instanceof Promise) return false
  return result.issues?.some(({ path }) => path?.[0] === key) ?? false
}

function parsed(value: string): unknown {
  try {
    return JSON.parse(value) as unknown
  } catch {
    return value
  }
}
