import { isJson } from '../../lib/json.ts'

/**
 * Plain JSON for programs that know nothing of this package: dates as ISO text, bigints as digits, bytes as
 * base64, `null` for numbers that JSON does not have, nothing for `undefined`.
 */
export function toPlainJson(value: unknown): string {
  return (isJson(value) ? JSON.stringify(value) : JSON.stringify(value, plain)) ?? 'null'
}

/** A Buffer turns itself into something else before it gets here, so that its owner is asked. */
function plain(this: Record<string, unknown>, key: string, value: unknown): unknown {
  const member = this[key]
  if (typeof member === 'bigint') return member.toString()
  return member instanceof Uint8Array ? Buffer.from(member).toString('base64') : value
}
