import type { StandardSchemaV1 } from '@standard-schema/spec'
import { distance, QueueError } from '../kernel/index.ts'
import { CHILD_VARIABLES, PREFIX } from '../plugins/runtimes/lib/child-process/variables.ts'

/** What there is to be set. */
export interface Settings {
  /** The names of sections, and of settings beside them. */
  keys: readonly string[]
  /** What checks a section, by its name. */
  schemas: ReadonlyMap<string, StandardSchemaV1 | undefined>
}

/** Words of a variable name after `NUXT_QUEUE_`. */
type Words = readonly string[]

/**
 * Configuration from `NUXT_QUEUE_*` variables. `NUXT_QUEUE_PAYLOAD_LIMIT` sets `payloadLimit`,
 * `NUXT_QUEUE_MEMORY_MAX_QUEUE_SIZE` sets `memory.maxQueueSize`: the longest section that fits comes
 * first, the rest is one key. Values are read as JSON where they are JSON, else as text; also as text where the
 * section takes text only (`NUXT_QUEUE_REDIS_PREFIX=2026`). What the engine itself gives to its children is never read.
 *
 * @param sections the sections there are, such as `memory` or `redis`
 * @param settings Given, a variable that names none of them is the application's own.
 * @throws QueueError `CONFIG_INVALID` for one that names nothing, and nearly names a setting
 */
export function configFromEnv(
  env: Readonly<Record<string, string | undefined>>,
  sections: readonly string[],
  settings?: Settings,
): Record<string, unknown> {
  const config: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(env)) {
    if (!name.startsWith(PREFIX) || value === undefined || value === '' || CHILD_VARIABLES.has(name)) continue
    const words = name.slice(PREFIX.length).toLowerCase().split('_')
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

/** `retention.completed.age` is the one section with sections of its own. */
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

/** The fewest letters of a name that is told from one nearly like it. */
const DISTINCT = 6

function isSetting(variable: string, key: string, keys: readonly string[]): boolean {
  if (keys.includes(key)) return true
  const near = key.length < DISTINCT ? undefined : keys.find((known) => distance(key, known) <= 2)
  if (near === undefined) return false
  throw new QueueError('CONFIG_INVALID', `The variable ${variable} sets nothing. Did you mean "${near}"?`, {
    details: { variable },
  })
}

/** JSON, unless the section refuses what that says and takes the text. */
function read(text: string, path: readonly string[], schema: StandardSchemaV1 | undefined): unknown {
  const value = parsed(text)
  if (schema === undefined || typeof value === 'string' || path.length !== 2) return value
  return refuses(schema, path[1]!, value) && !refuses(schema, path[1]!, text) ? text : value
}

function refuses(schema: StandardSchemaV1, key: string, value: unknown): boolean {
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
