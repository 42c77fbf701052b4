import { createHash } from 'node:crypto'
import { checkStorableText } from '../lib/postgres.ts'

const PLAIN_NAME = /^[A-Za-z0-9_./-]+$/
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
/** The prefix of encoded names, for queues whose names pg-boss would reject. */
const ENCODED = 'nq.'
/** The prefix of pg-boss's own queues. */
const INTERNAL = '__pgboss__'

/**
 * Returns the name of a queue in pg-boss. If pg-boss accepts the name, it stays as it is. Otherwise the result begins with
 * `nq.`, and each rejected byte becomes `.XX`: `a b` becomes `nq.a.20b`.
 */
export function encodeQueue(name: string): string {
  if (PLAIN_NAME.test(name) && !name.startsWith(ENCODED) && !name.startsWith(INTERNAL)) return name
  checkStorableText(name, 'queue name')
  let encoded = ENCODED
  for (const byte of Buffer.from(name)) {
    const char = String.fromCharCode(byte)
    encoded += char !== '.' && byte < 128 && PLAIN_NAME.test(char) ? char : `.${byte.toString(16).padStart(2, '0')}`
  }
  return encoded
}

export function decodeQueue(name: string): string {
  if (!name.startsWith(ENCODED)) return name
  const bytes = name
    .slice(ENCODED.length)
    .replaceAll(/\.([0-9a-f]{2})|[^]/g, (char, hex: string | undefined) =>
      hex === undefined ? char : String.fromCharCode(Number.parseInt(hex, 16)),
    )
  return Buffer.from(bytes, 'latin1').toString()
}

export function isInternalQueue(name: string): boolean {
  return name.startsWith(INTERNAL)
}

/** Returns the id of a job in pg-boss, which accepts only UUIDs: the id itself if it is a UUID, or else a hash of queue and id. */
export function jobUuid(queue: string, id: string): string {
  return UUID.test(id) ? id : hashUuid(`${queue}\n${id}`)
}

export function hashUuid(text: string): string {
  const bytes = createHash('sha256').update(text).digest()
  // Version 8 is for custom formats.
  bytes[6] = (bytes[6]! & 0x0f) | 0x80
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  const hex = bytes.toString('hex', 0, 16)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}
