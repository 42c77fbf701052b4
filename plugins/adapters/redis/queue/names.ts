/** Names of keys of a queue, used by BullMQ or by this plugin. A job must not be stored under such an id. */
const RESERVED: ReadonlySet<string> = new Set([
  ...['', 'active', 'wait', 'waiting', 'waiting-children', 'paused', 'id', 'delayed', 'prioritized', 'priority'],
  ...['stalled-check', 'completed', 'failed', 'stalled', 'repeat', 'limiter', 'meta', 'events', 'pc', 'marker', 'de'],
])
/** The prefix of the keys of this package. */
export const OWN = 'nq-'

const encode = (character: string): string => `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`
const decode = (text: string): string =>
  text.replaceAll(/%([0-9A-F]{2})/g, (_all, code: string) => String.fromCharCode(Number.parseInt(code, 16)))

/** Encodes the name of a queue. BullMQ rejects ":" in names, and braces would move a key to another slot. Other characters stay. */
export function encodeQueue(name: string): string {
  return name.replaceAll(/[%:{}]/g, encode)
}

/**
 * Encodes the id of a job. BullMQ uses integers for the ids that it generates, and ":" separates the parts of keys. Therefore ":" is
 * escaped, and so is the first character of an integer or of a reserved name.
 */
export function encodeId(id: string): string {
  const escaped = id.replaceAll(/[%:]/g, encode)
  const reserved = RESERVED.has(escaped) || escaped.startsWith(OWN) || /^-?\d+$/.test(escaped)
  return reserved && escaped !== '' ? encode(escaped) + escaped.slice(1) : escaped
}
export const decodeId = decode

/** Returns the ids under which a job may be stored: by us, and by a BullMQ client (empty if there is no such id). */
export function storedIds(id: string): [encoded: string, foreign: string] {
  const encoded = encodeId(id)
  return [encoded, encoded === id || RESERVED.has(id) || id.startsWith(OWN) ? '' : id]
}
