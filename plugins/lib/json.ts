import { QueueError } from '../../kernel/index.ts'
import { isPlain } from './handle.ts'

/*
 * JSON that preserves every value a queue accepts. A value without a JSON notation is written as an object with one key:
 *
 *   Date        { "$date": "2026-01-31T12:00:00.000Z" }, or { "$date": null } for an invalid one
 *   bigint      { "$bigint": "12" }
 *   Uint8Array  { "$bytes": "<base64>" }
 *   undefined   { "$undefined": true }
 *   number      { "$number": "NaN" | "Infinity" | "-Infinity" | "-0" }
 *
 * A user's object with a single key that starts with "$" is written as { "$object": { … } }, so that it is never
 * mistaken for a tag. Everything else is standard JSON. JSON from other sources is read unchanged if it has no tags.
 */

type Tagged = Record<string, unknown>

const NUMBERS_WITHOUT_JSON: Readonly<Record<string, number>> = { NaN, Infinity, '-Infinity': -Infinity, '-0': -0 }

const READERS: Readonly<Record<string, (content: unknown) => unknown>> = {
  $date: (content) => (content === null || typeof content === 'string' ? new Date(content ?? Number.NaN) : undefined),
  $bigint: (content) => (typeof content === 'string' && /^-?\d+$/.test(content) ? BigInt(content) : undefined),
  $bytes: (content) => (typeof content === 'string' ? new Uint8Array(Buffer.from(content, 'base64')) : undefined),
  $number: (content) => (typeof content === 'string' ? NUMBERS_WITHOUT_JSON[content] : undefined),
}

/**
 * Returns plain data as one line of JSON. Accepts the same values as `copyValue`.
 *
 * @throws QueueError `VALUE_UNSUPPORTED` for a function, a symbol or a class instance
 */
export function encodeJson(value: unknown): string {
  return JSON.stringify(isJson(value) ? value : tag(value))
}

/** Returns an object as one line of JSON, without the members that are `undefined`. The keys must not need escaping. */
export function encodeLine(line: Readonly<Record<string, unknown>>): string {
  let text = ''
  for (const key in line) {
    const value = line[key]
    if (value !== undefined) text += `${text === '' ? '{' : ','}"${key}":${encodeJson(value)}`
  }
  return text === '' ? '{}' : `${text}}`
}

/**
 * Returns the value that `encodeJson` wrote. Other JSON is accepted too.
 *
 * @throws SyntaxError for text that is not JSON
 */
export function decodeJson(text: string): unknown {
  const value = JSON.parse(text) as unknown
  return text.includes('"$') ? untag(value) : value
}

/** Returns whether JSON preserves a value without tags. Most payloads qualify, and are then not copied. */
export function isJson(value: unknown): boolean {
  if (value === null) return true
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return true
    case 'number':
      return isPlainNumber(value)
    case 'object':
      if (Array.isArray(value)) return value.every(isJson)
      return isPlain(value) && !looksTagged(value) && Object.values(value).every(isJson)
    default:
      return false
  }
}

function tag(value: unknown): unknown {
  switch (typeof value) {
    case 'undefined':
      return { $undefined: true }
    case 'bigint':
      return { $bigint: value.toString() }
    case 'number':
      return isPlainNumber(value) ? value : { $number: Object.is(value, -0) ? '-0' : String(value) }
    case 'object':
      return value === null ? null : tagObject(value)
    case 'function':
    case 'symbol':
      throw unsupported(typeof value)
    default:
      return value
  }
}

function tagObject(value: object): unknown {
  // `Array.from` also visits holes, and reads them as undefined.
  if (Array.isArray(value)) return Array.from(value, tag)
  if (value instanceof Date) return { $date: Number.isNaN(value.getTime()) ? null : value.toISOString() }
  if (value instanceof Uint8Array) {
    return { $bytes: Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64') }
  }
  if (!isPlain(value)) throw unsupported(value.constructor?.name ?? 'object')
  const members = Object.fromEntries(Object.entries(value).map(([key, member]) => [key, tag(member)]))
  return looksTagged(value) ? { $object: members } : members
}

/** Works in place, because the value comes straight from `JSON.parse` and has no other reference. */
function untag(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (!Array.isArray(value) && looksTagged(value)) return readTag(value as Tagged)
  return untagMembers(value as Tagged)
}

function readTag(value: Tagged): unknown {
  const name = Object.keys(value)[0]!
  const content = value[name]
  if (name === '$undefined' && content === true) return undefined
  if (name === '$object' && isObject(content)) return untagMembers(content)
  const read = Object.hasOwn(READERS, name) ? READERS[name]!(content) : undefined
  return read === undefined ? untagMembers(value) : read
}

function untagMembers(members: Tagged): unknown {
  for (const key of Object.keys(members)) members[key] = untag(members[key])
  return members
}

function looksTagged(value: object): boolean {
  const keys = Object.keys(value)
  return keys.length === 1 && keys[0]!.startsWith('$')
}

function isPlainNumber(value: number): boolean {
  return Number.isFinite(value) && !Object.is(value, -0)
}

function isObject(value: unknown): value is Tagged {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function unsupported(kind: string): QueueError {
  const hint = 'Pass plain data: objects, arrays, strings, numbers, booleans, null, bigint, Date, Uint8Array.'
  return new QueueError('VALUE_UNSUPPORTED', `A ${kind} cannot be written as JSON. ${hint}`, { details: { kind } })
}
