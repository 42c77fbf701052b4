import { createHash } from 'node:crypto'

/** File systems allow 255 bytes for a name, and the extension needs some of them. */
const MAX_LENGTH = 200

/**
 * Returns the file name of a queue. Lower case letters, digits, `-`, `_` and `.` stay as they are. Every other byte
 * becomes `%` and its hexadecimal value, because some file systems do not distinguish upper and lower case.
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

/** Returns the queue of a file. It uses the header, or the file name if the header is damaged. */
export function queueName(file: string, header: Record<string, unknown> | undefined): string {
  if (typeof header?.queue === 'string') return header.queue
  const bytes = file.matchAll(/%([\da-f]{2})|./g)
  return Buffer.from(
    Array.from(bytes, ([char, hex]) => (hex === undefined ? char.charCodeAt(0) : parseInt(hex, 16))),
  ).toString()
}
