import { hash } from 'node:crypto'

/** NOTIFY carries less than 8000 bytes. */
export const LARGEST_NOTIFICATION = 7900
const MARK = 6

/** Six characters that stand for a stream in a wake-up. Two streams may share them, which wakes one too many. */
export function markOf(stream: string): string {
  return hash('md5', stream, 'base64url').slice(0, MARK)
}

/** A wake-up for streams: their marks, or `*` for too many. */
export function packNames(streams: readonly string[]): string {
  const marks = new Set(streams.map(markOf))
  return marks.size * MARK > LARGEST_NOTIFICATION - 1 ? '*' : `e${[...marks].join('')}`
}

/** What a wake-up is for; `undefined` for all streams. */
export function unpackMarks(payload: string): Set<string> | undefined {
  if (payload === '*') return undefined
  const marks = new Set<string>()
  for (let at = 1; at < payload.length; at += MARK) marks.add(payload.slice(at, at + MARK))
  return marks
}
