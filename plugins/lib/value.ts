import { QueueError, toError } from '../../kernel/index.ts'
import { Handle, isPlain } from './handle.ts'

/** How deep values may nest. A deeper value probably refers to itself, or would overflow the stack of other code. */
const MAX_DEPTH = 200

/** A copy throws these symbols instead of an error, to save the cost of a stack trace. The caller then finds the cause. */
const UNSUPPORTED = Symbol('refused')
const TOO_LARGE = Symbol('too large')

/** How many frames the stack of a refusal may have. Node's default of 10 ends within the hooks. */
const MAX_FRAMES = 50

/** How many bytes the running copy may still use. Copying is synchronous, so one variable is enough. */
let budget = 0

/**
 * Copies plain data, so that neither side sees later changes of the other. Refuses a value that some adapter could not
 * store unchanged. Costs a ninth of `structuredClone`.
 *
 * Accepts `null`, `undefined`, booleans, strings, every number, `bigint`, `Date`, `Uint8Array` (a `Buffer` becomes
 * one), arrays, and plain objects of these. Refuses functions, symbols, `Map`, `Set`, class instances and cycles.
 *
 * @param limit the largest size in encoded bytes; the size of the value is estimated
 * @param what the name of the value in errors, for example `data of job "mail"`
 * @throws QueueError `VALUE_UNSUPPORTED` with the path of the invalid member, or `PAYLOAD_TOO_LARGE`
 */
export function copyValue<T>(value: T, limit: number, what: string): T {
  try {
    budget = limit
    const copied = copy(value, 0) as T
    // A character has at most three bytes, so most payloads need no exact count.
    if ((limit - budget) * 3 > limit && budget < extraBytes(copied)) throw TOO_LARGE
    return copied
  } catch (error) {
    if (error === TOO_LARGE) throw tooLarge(limit, what)
    if (error === UNSUPPORTED) throw unsupported(value, what)
    // A getter or a Proxy of the caller has thrown.
    throw unreadable(error, what)
  }
}

/** Copies data that has already passed the checks of `copyValue`. */
export function cloneValue<T>(value: T): T {
  return typeof value === 'object' && value !== null ? (cloneObject(value) as T) : value
}

function cloneObject(value: object): unknown {
  if (Array.isArray(value)) {
    const items: unknown[] = value.slice()
    for (let index = 0; index < items.length; index++) {
      const item = items[index]
      if (typeof item === 'object' && item !== null) items[index] = cloneObject(item)
    }
    return items
  }
  if (value instanceof Date) return new Date(value)
  if (value instanceof Uint8Array) return new Uint8Array(value)
  const out: Record<string, unknown> = { ...value }
  for (const key in out) {
    const member = out[key]
    if (typeof member === 'object' && member !== null) out[key] = cloneObject(member)
  }
  return out
}

function copy(value: unknown, depth: number): unknown {
  switch (typeof value) {
    case 'object':
      return value === null ? null : copyObject(value, depth)
    case 'string':
      budget -= value.length + 2
      if (budget < 0) throw TOO_LARGE
      return value
    case 'bigint':
      return chargeBigint(value)
    case 'function':
    case 'symbol':
      throw UNSUPPORTED
    default:
      return value
  }
}

/** Subtracts the size of a bigint, which is one byte per decimal digit, from the budget. */
function chargeBigint(value: bigint): bigint {
  // One hexadecimal digit stands for 1.2 decimal digits, and is much faster to compute.
  budget -= Math.ceil(value.toString(16).length * 1.21) + 14
  if (budget < 0) throw TOO_LARGE
  return value
}

/** Returns how many more bytes than characters the strings of a value have. */
function extraBytes(value: unknown): number {
  if (typeof value === 'string') return Buffer.byteLength(value) - value.length
  if (typeof value !== 'object' || value === null || value instanceof Date || value instanceof Uint8Array) return 0
  let extra = 0
  if (Array.isArray(value)) for (const item of value) extra += extraBytes(item)
  else for (const [key, member] of Object.entries(value)) extra += extraBytes(key) + extraBytes(member)
  return extra
}

function copyObject(value: object, depth: number): unknown {
  if (depth > MAX_DEPTH) throw UNSUPPORTED
  if (Array.isArray(value)) return copyArray(value, depth)
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null && !(value instanceof Handle)) return copyBuiltIn(value)
  // A spread copies the shape at once, and treats `__proto__` as an ordinary key.
  const out: Record<string, unknown> = { ...value }
  for (const key in out) {
    const member = out[key]
    budget -= key.length + 8
    if (typeof member === 'string') budget -= member.length
    else if (typeof member === 'object') {
      if (member !== null) out[key] = copyObject(member, depth + 1)
    } else if (typeof member === 'bigint') chargeBigint(member)
    else if (typeof member === 'function' || typeof member === 'symbol') throw UNSUPPORTED
  }
  if (budget < 0) throw TOO_LARGE
  return out
}

function copyArray(value: readonly unknown[], depth: number): unknown[] {
  const out = value.slice()
  budget -= 2 + 8 * out.length
  if (budget < 0) throw TOO_LARGE
  for (let index = 0; index < out.length; index++) {
    const item = out[index]
    if (typeof item !== 'number') out[index] = copy(item, depth + 1)
  }
  return out
}

function copyBuiltIn(value: object): unknown {
  if (value instanceof Date) return new Date(value)
  if (!(value instanceof Uint8Array)) throw UNSUPPORTED
  budget -= value.byteLength
  if (budget < 0) throw TOO_LARGE
  return new Uint8Array(value)
}

/** Returns the kind and the path of the first invalid member. Called only after a copy was refused. */
function findOffender(value: unknown, path: string[]): { kind: string; path: string[] } | undefined {
  if (typeof value === 'function' || typeof value === 'symbol') return { kind: typeof value, path }
  if (typeof value !== 'object' || value === null || value instanceof Date || value instanceof Uint8Array) return
  const plain = Array.isArray(value) || isPlain(value)
  if (!plain || path.length > MAX_DEPTH) return { kind: value.constructor?.name ?? 'object', path }
  for (const [key, member] of Object.entries(value)) {
    const found = findOffender(member, [...path, key])
    if (found) return found
  }
  return
}

function tooLarge(limit: number, what: string): QueueError {
  const hint = 'Store it elsewhere and pass a reference, or raise the option "payloadLimit".'
  return new QueueError('PAYLOAD_TOO_LARGE', `The ${what} is larger than ${limit} bytes. ${hint}`, {
    details: { limit },
  })
}

function unreadable(cause: unknown, what: string): QueueError {
  const message = `The ${what} cannot be read: ${toError(cause).message} Pass plain data without getters or Proxies.`
  return refusal(message, { cause })
}

function unsupported(value: unknown, what: string): QueueError {
  let found: ReturnType<typeof findOffender>
  try {
    found = findOffender(value, [])
  } catch (error) {
    return unreadable(error, what)
  }
  const { kind, path } = found ?? { kind: typeof value, path: [] }
  const where = path.length === 0 ? '' : ` at "${path.slice(0, 10).join('.')}"`
  const nested = path.length > MAX_DEPTH ? ' It refers to itself or nests too deeply.' : ''
  const hint =
    'Pass plain data: objects, arrays, strings, numbers, booleans, null, undefined, bigint, Date, Uint8Array.'
  const message = `The ${what} holds a ${kind}${where}, which cannot be stored.${nested} ${hint}`
  return refusal(message, { details: { kind, path: path.slice(0, 10) } })
}

/** Values are copied below the hooks of all plugins. The stack is deep enough to reach the caller of the kernel. */
function refusal(message: string, about: ErrorOptions & { details?: Record<string, unknown> }): QueueError {
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = MAX_FRAMES
  try {
    return new QueueError('VALUE_UNSUPPORTED', message, about)
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
}
