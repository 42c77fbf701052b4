/** Words of a variable name after `NUXT_QUEUE_`. */
type Words = readonly string[]

const PREFIX = 'NUXT_QUEUE_'

/**
 * Configuration from `NUXT_QUEUE_*` variables. `NUXT_QUEUE_PAYLOAD_LIMIT` sets `payloadLimit`,
 * `NUXT_QUEUE_MEMORY_MAX_QUEUE_SIZE` sets `memory.maxQueueSize`: the longest section that fits comes
 * first, the rest is one key. Values are read as JSON where they are JSON, else as text.
 *
 * @param sections the sections there are, such as `memory` or `redis`
 */
export function configFromEnv(
  env: Readonly<Record<string, string | undefined>>,
  sections: readonly string[],
): Record<string, unknown> {
  const config: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(env)) {
    if (!name.startsWith(PREFIX) || value === undefined || value === '') continue
    const words = name.slice(PREFIX.length).toLowerCase().split('_')
    const path = pathOf(words, sections)
    setPath(config, path, parsed(value))
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

function parsed(value: string): unknown {
  try {
    return JSON.parse(value) as unknown
  } catch {
    return value
  }
}
