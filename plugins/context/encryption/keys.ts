import { createSecretKey, KeyObject } from 'node:crypto'
import { QueueError } from '../../../kernel/index.ts'

/** A key of 32 bytes: in base64 or hexadecimal digits, as bytes, or as a secret `KeyObject`. */
export type EncryptionKey = string | Uint8Array | KeyObject
/** Returns the key with an id, or `undefined` if there is none. */
export type FindKey = (id: string) => EncryptionKey | undefined

/** The length of a key of AES-256, in bytes. */
const BYTES = 32
const KEY_ID = /^[\w:@/-]{1,128}$/

/** Finds keys by their ids. Keys never appear in messages. */
export interface KeyRing {
  find(id: string): KeyObject | undefined
  /** The id of the key for new values. */
  current: string
}

/** @throws QueueError `CONFIG_INVALID` */
export function createKeyRing(
  keys: Readonly<Record<string, EncryptionKey>> | FindKey,
  given: string | undefined,
): KeyRing {
  if (typeof keys === 'function') {
    const current = checkId(given ?? missingCurrent('a function'))
    const found = new Map<string, KeyObject>()
    const find: KeyRing['find'] = (id) => {
      const known = found.get(id)
      if (known) return known
      const key = keys(id)
      if (key === undefined) return undefined
      const parsed = toKey(id, key)
      found.set(id, parsed)
      return parsed
    }
    if (!find(current)) throw unknownCurrent(current, 'the function "keys" returns no key for it')
    return { find, current }
  }
  const parsed = new Map(Object.entries(keys).map(([id, key]) => [checkId(id), toKey(id, key)]))
  const ids = [...parsed.keys()]
  const current = given ?? (ids.length === 1 ? ids[0]! : missingCurrent(ids.join(', ')))
  if (!parsed.has(current)) throw unknownCurrent(current, `the keys are: ${ids.join(', ')}`)
  return { find: (id) => parsed.get(id), current }
}

/** @throws QueueError `CONFIG_INVALID` */
function checkId(id: string): string {
  if (KEY_ID.test(id)) return id
  throw invalid(`The id of a key has 1 to 128 letters, digits and "_", "-", ":", "@", "/"; got ${JSON.stringify(id)}.`)
}

function toKey(id: string, key: EncryptionKey): KeyObject {
  if (key instanceof KeyObject) {
    if (key.type === 'secret' && key.symmetricKeySize === BYTES) return key
    throw wrongKey(id, key.type === 'secret' ? `${key.symmetricKeySize} bytes` : `a ${key.type} key`)
  }
  const bytes = typeof key === 'string' ? decode(key) : key instanceof Uint8Array ? key : undefined
  if (bytes?.byteLength === BYTES) return createSecretKey(bytes)
  throw wrongKey(id, bytes ? `${bytes.byteLength} bytes` : 'a value of another form')
}

function decode(text: string): Buffer | undefined {
  if (/^(?:[\da-f]{2})+$/i.test(text) && text.length === 2 * BYTES) return Buffer.from(text, 'hex')
  return /^[\w+/-]+={0,2}$/.test(text) ? Buffer.from(text, 'base64') : undefined
}

function wrongKey(id: string, got: string): QueueError {
  const hint = 'Create one with: openssl rand -base64 32'
  return invalid(`Encryption key "${id}" must have 32 bytes, in base64 or hexadecimal digits; got ${got}. ${hint}`)
}

function missingCurrent(of: string): never {
  throw invalid(
    `Option "current" must name the key that encrypts new values, because "keys" is not a single key (${of}).`,
  )
}

function unknownCurrent(current: string, why: string): QueueError {
  return invalid(`Option "current" of the encryption is "${current}", but ${why}.`)
}

function invalid(message: string): QueueError {
  return new QueueError('CONFIG_INVALID', message)
}
