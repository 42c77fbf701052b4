import { createHash } from 'node:crypto'

/** File systems take 255 bytes, and the ending needs some. */
const MAX_LENGTH = 200

/**
 * The file of a queue. Lower case, digits, `-`, `_` and `.` stand for themselves, all else is `%` and a
 * byte in hexadecimal, since some file systems do not tell upper from lower case.
 */
export function fileName(queue: string): string {
  const name = [...Buffer.from(queue)].map(encodeByte).join('').replace(/^\./, '%2e')
  if (name.length <= MAX_LENGTH && name !== '') return name
  return `%${createHash('sha256').update(queue).digest('hex')}`
}

function encodeByte(byte: number): string {
  const char = String.fromCharCode(byte)
  return /[-a-z0-9_.]/.test(char) ? char : `%${byte.toString(16).padStart(2, '0')}`
}

/** The queue of a file: what its header says, or its name where the header is damaged. */
export function queueName(file: string, header: Record<string, unknown> | undefined): string {
  if (typeof header?.queue === 'string') return header.queue
  const bytes = file.matchAll(/%([\da-f]{2})|./g)
  return Buffer.from(
    Array.from(bytes, ([char, hex]) => (hex === undefined ? char.charCodeAt(0) : parseInt(hex, 16))),
  ).toString()
}
