import { createCipheriv, createDecipheriv, randomBytes, type KeyObject } from 'node:crypto'
import { decodeJson, encodeJson } from '../../lib/json.ts'
import type { PayloadPlace } from '../../lib/payloads/codec.ts'

/*
 * An encrypted value is the text `nqe1.<key id>.<base64>`. The base64 part holds a random nonce of 12 bytes, the tag of 16 bytes and the
 * ciphertext of AES-256-GCM. The plain text is JSON that keeps dates, bytes and big integers. The additional data is the place of the value, so
 * that a value that somebody moves to another job, run or member does not decrypt.
 */
export const ENCRYPTED_PREFIX = 'nqe1.'
const [NONCE, TAG] = [12, 16]

export function encrypt(value: unknown, place: PayloadPlace, keyId: string, key: KeyObject): string {
  const nonce = randomBytes(NONCE)
  const cipher = createCipheriv('aes-256-gcm', key, nonce)
  cipher.setAAD(bytesOf(place))
  const body = [cipher.update(encodeJson(value), 'utf8'), cipher.final()]
  return `${ENCRYPTED_PREFIX}${keyId}.${Buffer.concat([nonce, cipher.getAuthTag(), ...body]).toString('base64')}`
}

/** Returns the id of the key of an encrypted value. */
export function keyIdOf(text: string): string {
  return text.slice(
    ENCRYPTED_PREFIX.length,
    Math.max(ENCRYPTED_PREFIX.length, text.indexOf('.', ENCRYPTED_PREFIX.length)),
  )
}

/** @throws Error if the value was changed or moved, or if the key is another one */
export function decrypt(text: string, place: PayloadPlace, key: KeyObject): unknown {
  const bytes = Buffer.from(text.slice(ENCRYPTED_PREFIX.length + keyIdOf(text).length + 1), 'base64')
  const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, NONCE), { authTagLength: TAG })
  decipher.setAAD(bytesOf(place))
  decipher.setAuthTag(bytes.subarray(NONCE, NONCE + TAG))
  const body = Buffer.concat([decipher.update(bytes.subarray(NONCE + TAG)), decipher.final()])
  return decodeJson(body.toString('utf8'))
}

function bytesOf({ runId, id, kind }: PayloadPlace): Buffer {
  return Buffer.from(JSON.stringify([runId, id, kind]))
}
