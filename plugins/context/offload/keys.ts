import { randomUUID } from 'node:crypto'

/*
 * The key of a value is `<run>:<moment>-<random>`. The run is its id in hexadecimal digits, because some file systems ignore case. The
 * moment is when the value was stored: milliseconds since the epoch, in base 36. So a sweep knows from a key alone which run the value
 * belongs to, and how old it is.
 */
const KEY = /^([\da-f]+):([\da-z]+)-[\da-f-]+(?:[.]part)?$/
/** Names of files have at most 255 bytes. Values of runs with longer ids stay in the store. */
const MAX_NAME = 240

/** Returns a new key, or `undefined` if the id of the run is too long. */
export function createKey(runId: string, now: number): string | undefined {
  const name = Buffer.from(runId).toString('hex')
  return name === '' || name.length > MAX_NAME ? undefined : `${name}:${now.toString(36)}-${randomUUID()}`
}

/** Returns the run and the moment of a key, or `undefined` for any other text. */
export function parseKey(key: string): { runId: string; at: number } | undefined {
  const [, name, at] = KEY.exec(key) ?? []
  return name === undefined ? undefined : { runId: Buffer.from(name, 'hex').toString(), at: Number.parseInt(at!, 36) }
}
