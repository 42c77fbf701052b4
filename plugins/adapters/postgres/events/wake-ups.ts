import { hash } from 'node:crypto'

/** The maximum payload of a notification in bytes. PostgreSQL requires less than 8000. */
export const MAX_NOTIFICATION = 7900
const MARK = 6

/** Returns the mark of a stream in a wake-up: six characters. If two streams share a mark, both are woken. */
export function markOf(stream: string): string {
  return hash('md5', stream, 'base64url').slice(0, MARK)
}

/** Returns the payload that wakes the subscribers of streams: their marks, or `*` if there are too many. */
export function packNames(streams: readonly string[]): string {
  const marks = new Set(streams.map(markOf))
  return marks.size * MARK > MAX_NOTIFICATION - 1 ? '*' : `e${[...marks].join('')}`
}

/** Returns the marks of a wake-up, or `undefined` if it is for all streams. */
export function unpackMarks(payload: string): Set<string> | undefined {
  if (payload === '*') return undefined
  const marks = new Set<string>()
  for (let index = 1; index < payload.length; index += MARK) marks.add(payload.slice(index, index + MARK))
  return marks
}
