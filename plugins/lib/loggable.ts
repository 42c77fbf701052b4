import { cutText, describeValue, isError, serializeError, toError } from '../../kernel/index.ts'

/** Limits for one logged value: total characters, characters of one string, members of one object or list, levels. */
const BUDGET = 32_768
const LONGEST_TEXT = 8192
const MOST_MEMBERS = 100
const DEEPEST = 8

/** A log entry. `meta` is the value that the handler passed, which may not be serializable. */
export interface Entry {
  message: string
  meta: unknown
}

/** Returns a log entry for the arguments of a logger call. An error passed as the message also becomes the meta. */
export function toEntry(given: unknown, meta?: unknown): Entry {
  if (typeof given === 'string') return { message: given, meta }
  const value = isError(given) ? toError(given).message : describeValue(given)
  return { message: value, meta: isError(given) ? { error: toLoggable(given), ...spread(meta) } : meta }
}

/** Returns a log entry that can always be serialized, whatever `meta` holds. */
export function toLoggableEntry(message: string, meta: unknown): Entry {
  return { message: cutText(message, LONGEST_TEXT), meta: meta === undefined ? undefined : toLoggable(meta) }
}

function spread(meta: unknown): object {
  return meta === undefined || meta === null ? {} : { meta: toLoggable(meta) }
}

interface Walk {
  /** How many more characters may be kept. */
  left: number
  /** The objects that enclose the current one. */
  parents: Set<object>
}

/**
 * Returns plain data that describes a value for readers of logs. Accepts any value and never throws. The result
 * always fits into an event:
 *
 * - An error becomes its serialized form.
 * - A `Map` or `Set` becomes a list, and a class instance becomes an object of its own members.
 * - A function or a cycle becomes a short note.
 * - What exceeds a limit is cut, and a note says so.
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
