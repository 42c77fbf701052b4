import { cutText, describeValue, isError, serializeError, toError } from '../../kernel/index.ts'

/** Limits for one logged value: total characters, characters of one string, members of one object or list, levels. */
const BUDGET = 32_768
const MAX_TEXT = 8192
const MAX_MEMBERS = 100
const MAX_DEPTH = 8

/** A log entry. `meta` is the value that the handler passed, which may not be serializable. */
export interface LogEntry {
  message: string
  meta: unknown
}

/** Returns a log entry for the arguments of a logger call. An error passed as the message also becomes the meta. */
export function toLogEntry(given: unknown, meta?: unknown): LogEntry {
  if (typeof given === 'string') return { message: given, meta }
  const value = isError(given) ? toError(given).message : describeValue(given)
  return { message: value, meta: isError(given) ? { error: toLoggable(given), ...spread(meta) } : meta }
}

/** Returns a log entry that can always be serialized, whatever `meta` holds. */
export function toLoggableEntry(message: string, meta: unknown): LogEntry {
  return { message: cutText(message, MAX_TEXT), meta: meta === undefined ? undefined : toLoggable(meta) }
}

function spread(meta: unknown): object {
  return meta === undefined || meta === null ? {} : { meta: toLoggable(meta) }
}

interface Budget {
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
 * - A `Map` or `Set` becomes a list, and a class instance becomes an object of its members.
 * - A function or a cycle becomes a short note.
 * - A part that exceeds a limit is cut, and a note says so.
 */
export function toLoggable(value: unknown): unknown {
  return describe(value, { left: BUDGET, parents: new Set() })
}

function describe(value: unknown, budget: Budget): unknown {
  try {
    return describeAny(value, budget)
  } catch {
    return '[cannot be read]'
  }
}

function describeAny(value: unknown, budget: Budget): unknown {
  budget.left -= 8
  if (budget.left < 0) return '[cut]'
  switch (typeof value) {
    case 'string':
      return describeText(value, budget)
    case 'function':
      return describeText(`[function ${value.name}]`, budget)
    case 'symbol':
      return describeText(value.toString(), budget)
    case 'bigint':
      return describeText(value.toString(), budget)
    case 'object':
      return value === null ? null : describeObject(value, budget)
    default:
      return value
  }
}

function describeText(text: string, budget: Budget): string {
  const cut = cutText(text, Math.max(0, Math.min(MAX_TEXT, budget.left)))
  budget.left -= cut.length
  return cut
}

function describeObject(value: object, budget: Budget): unknown {
  if (budget.parents.has(value)) return '[circular]'
  if (budget.parents.size >= MAX_DEPTH) return '[too deep]'
  budget.parents.add(value)
  try {
    return describeByKind(value, budget)
  } finally {
    budget.parents.delete(value)
  }
}

function describeByKind(value: object, budget: Budget): unknown {
  if (isError(value)) return describeMembers(serializeError(value), budget)
  if (value instanceof Date) return new Date(value)
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return `[${value.byteLength} bytes]`
  if (value instanceof URL || value instanceof RegExp) return describeText(String(value), budget)
  if (value instanceof Map) return describeList(value, value.size, budget)
  if (value instanceof Set) return describeList(value, value.size, budget)
  if (Array.isArray(value)) return describeList(value, value.length, budget)
  const { toJSON } = value as { toJSON?: unknown }
  if (typeof toJSON === 'function') return describe(toJSON.call(value, ''), budget)
  return describeMembers(value, budget)
}

function describeList(items: Iterable<unknown>, count: number, budget: Budget): unknown[] {
  const list: unknown[] = []
  for (const item of items) {
    if (list.length === MAX_MEMBERS || budget.left < 0) {
      list.push(`[${count - list.length} more]`)
      break
    }
    list.push(describe(item, budget))
  }
  return list
}

function describeMembers(object: object, budget: Budget): Record<string, unknown> {
  const members: [string, unknown][] = []
  let seen = 0
  for (const key in object) {
    if (!Object.hasOwn(object, key)) continue
    if (++seen > MAX_MEMBERS || budget.left < 0) {
      members.push(['…', '[more members]'])
      break
    }
    members.push([describeText(key, budget), readMember(object, key, budget)])
  }
  return Object.fromEntries(members)
}

function readMember(object: object, key: string, budget: Budget): unknown {
  try {
    return describe((object as Record<string, unknown>)[key], budget)
  } catch {
    return '[cannot be read]'
  }
}
