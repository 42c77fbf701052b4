import { cutText, describeValue, isError, serializeError, toError } from '../../kernel/index.ts'

/** How much of a value is kept: characters altogether, of one text, members of one object or list, levels. */
const BUDGET = 32_768
const LONGEST_TEXT = 8192
const MOST_MEMBERS = 100
const DEEPEST = 8

/** An entry of a log, as plain as it has to be. `meta` is what was given, and may not be able to travel. */
export interface Entry {
  message: string
  meta: unknown
}

/** An entry of what a handler gave its logger: an error or an object in place of the message becomes its meta. */
export function toEntry(given: unknown, meta?: unknown): Entry {
  if (typeof given === 'string') return { message: given, meta }
  const value = isError(given) ? toError(given).message : describeValue(given)
  return { message: value, meta: isError(given) ? { error: toLoggable(given), ...spread(meta) } : meta }
}

/** The same entry so that it can travel whatever it holds. */
export function toLoggableEntry(message: string, meta: unknown): Entry {
  return { message: cutText(message, LONGEST_TEXT), meta: meta === undefined ? undefined : toLoggable(meta) }
}

function spread(meta: unknown): object {
  return meta === undefined || meta === null ? {} : { meta: toLoggable(meta) }
}

interface Walk {
  /** Characters that may still come. */
  left: number
  /** The objects that the one at hand lies in. */
  parents: Set<object>
}

/**
 * Returns plain data that says what a value is, for people who read logs. Takes anything, never throws, and
 * the result always fits: errors become what is stored of them, `Map` and `Set` lists, instances their own
 * members, functions and cycles a word; what is too long, too deep or too much is cut, and says so.
 */
export function toLoggable(value: unknown): unknown {
  return describe(value, { left: BUDGET, parents: new Set() })
}

function describe(value: unknown, walk: Walk): unknown {
  try {
    return describeAny(value, walk)
  } catch {
    return '[cannot be read]'
  }
}

function describeAny(value: unknown, walk: Walk): unknown {
  walk.left -= 8
  if (walk.left < 0) return '[cut]'
  switch (typeof value) {
    case 'string':
      return describeText(value, walk)
    case 'function':
      return describeText(`[function ${value.name}]`, walk)
    case 'symbol':
      return describeText(value.toString(), walk)
    case 'bigint':
      return describeText(value.toString(), walk)
    case 'object':
      return value === null ? null : describeObject(value, walk)
    default:
      return value
  }
}

function describeText(text: string, walk: Walk): string {
  const cut = cutText(text, Math.max(0, Math.min(LONGEST_TEXT, walk.left)))
  walk.left -= cut.length
  return cut
}

function describeObject(value: object, walk: Walk): unknown {
  if (walk.parents.has(value)) return '[circular]'
  if (walk.parents.size >= DEEPEST) return '[too deep]'
  walk.parents.add(value)
  try {
    return describeByKind(value, walk)
  } finally {
    walk.parents.delete(value)
  }
}

function describeByKind(value: object, walk: Walk): unknown {
  if (isError(value)) return describeMembers(serializeError(value), walk)
  if (value instanceof Date) return new Date(value)
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return `[${value.byteLength} bytes]`
  if (value instanceof URL || value instanceof RegExp) return describeText(String(value), walk)
  if (value instanceof Map) return describeList(value, value.size, walk)
  if (value instanceof Set) return describeList(value, value.size, walk)
  if (Array.isArray(value)) return describeList(value, value.length, walk)
  const { toJSON } = value as { toJSON?: unknown }
  if (typeof toJSON === 'function') return describe(toJSON.call(value, ''), walk)
  return describeMembers(value, walk)
}

function describeList(items: Iterable<unknown>, count: number, walk: Walk): unknown[] {
  const list: unknown[] = []
  for (const item of items) {
    if (list.length === MOST_MEMBERS || walk.left < 0) {
      list.push(`[${count - list.length} more]`)
      break
    }
    list.push(describe(item, walk))
  }
  return list
}

function describeMembers(object: object, walk: Walk): Record<string, unknown> {
  const members: [string, unknown][] = []
  let seen = 0
  for (const key in object) {
    if (!Object.hasOwn(object, key)) continue
    if (++seen > MOST_MEMBERS || walk.left < 0) {
      members.push(['…', '[more members]'])
      break
    }
    members.push([describeText(key, walk), readMember(object, key, walk)])
  }
  return Object.fromEntries(members)
}

function readMember(object: object, key: string, walk: Walk): unknown {
  try {
    return describe((object as Record<string, unknown>)[key], walk)
  } catch {
    return '[cannot be read]'
  }
}
