import { isJson } from '../../lib/json.ts'

/**
 * Returns plain JSON for programs that do not use this package. Dates become ISO strings, bigints digits, bytes base64, and numbers that
 * JSON cannot represent `null`. `undefined` is omitted.
 */
export function toPlainJson(value: unknown): string {
  return (isJson(value) ? JSON.stringify(value) : JSON.stringify(value, plain)) ?? 'null'
}

/** Reads the value from its owner, because `JSON.stringify` calls `toJSON` of a Buffer before the replacer. */
function plain(this: Record<string, unknown>, key: string, value: unknown): unknown {
  const member = this[key]
  if (typeof member === 'bigint') return member.toString()
  return member instanceof Uint8Array ? Buffer.from(member).toString('base64') : value
}
