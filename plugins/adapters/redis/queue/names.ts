/** Names that BullMQ, or this plugin, uses for keys of a queue beside those of its jobs. */
const RESERVED: ReadonlySet<string> = new Set([
  ...['', 'active', 'wait', 'waiting', 'waiting-children', 'paused', 'id', 'delayed', 'prioritized', 'priority'],
  ...['stalled-check', 'completed', 'failed', 'stalled', 'repeat', 'limiter', 'meta', 'events', 'pc', 'marker', 'de'],
])
/** Keys of ours start with it. */
export const OWN = 'nq-'

const encode = (character: string): string => `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`
const decode = (text: string): string =>
  text.replaceAll(/%([0-9A-F]{2})/g, (_all, code: string) => String.fromCharCode(Number.parseInt(code, 16)))

/** BullMQ refuses ":" in names; braces would move a key to another slot. Others stay as they are. */
export function encodeQueue(name: string): string {
  return name.replaceAll(/[%:{}]/g, encode)
}

/**
 * BullMQ keeps whole numbers for the ids it gives itself, and ":" separates parts of keys: such ids,
 * and those that name other keys, are written with a `%` in front.
 */
export function encodeId(id: string): string {
  const escaped = id.replaceAll(/[%:]/g, encode)
  const taken = RESERVED.has(escaped) || escaped.startsWith(OWN) || /^-?\d+$/.test(escaped)
  return taken && escaped !== '' ? encode(escaped) + escaped.slice(1) : escaped
}
export const decodeId = decode

/** What a job of this id may be stored under: by us, and as BullMQ gave it. */
export function storedIds(id: string): [ours: string, foreign: string] {
  const ours = encodeId(id)
  return [ours, ours === id || RESERVED.has(id) || id.startsWith(OWN) ? '' : id]
}
