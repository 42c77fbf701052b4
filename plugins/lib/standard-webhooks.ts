import { createHmac, createPublicKey, timingSafeEqual, verify, type KeyObject } from 'node:crypto'

/** The size of an Ed25519 public key in bytes. */
const PUBLIC_KEY = 32
/** How many signatures of a header are checked. */
const MAX_SIGNATURES = 16

interface SecretKey {
  version: 'v1'
  secret: Buffer
}
export type StandardKey = SecretKey | { version: 'v1a'; publicKey: KeyObject }

/** Parses a secret or public key in the format of Standard Webhooks. Returns `undefined` for any other text. */
export function parseStandardKey(text: string): StandardKey | undefined {
  const [, prefix, base64 = ''] = /^(whsec_|whpk_)?([A-Za-z0-9+/]+={0,2})$/.exec(text) ?? []
  const bytes = Buffer.from(base64, 'base64')
  if (bytes.length === 0) return undefined
  if (prefix !== 'whpk_') return { version: 'v1', secret: bytes }
  if (bytes.length !== PUBLIC_KEY) return undefined
  const jwk = { kty: 'OKP', crv: 'Ed25519', x: bytes.toString('base64url') }
  return { version: 'v1a', publicKey: createPublicKey({ key: jwk, format: 'jwk' }) }
}

/** The signature headers of a request. */
export interface StandardSignature {
  id: string
  timestamp: string
  /** The value of the header: signatures such as `v1,g0hM9SsE…`, separated by spaces. */
  signatures: string
}

/** Whether one of the signatures is valid for the body and one of the keys. */
export function isSigned(
  { id, timestamp, signatures }: StandardSignature,
  rawBody: Uint8Array,
  keys: readonly StandardKey[],
): boolean {
  const message = messageOf(id, timestamp, rawBody)
  const given = signatures.split(' ').slice(0, MAX_SIGNATURES)
  const checks = given.flatMap((one) => {
    const [version, base64 = ''] = one.split(',', 2)
    const signature = Buffer.from(base64, 'base64')
    return keys.filter((key) => key.version === version).map((key) => matches(key, message, signature))
  })
  return checks.includes(true)
}

/**
 * Returns the signature headers of a request, with a signature for each secret.
 *
 * @param id names the message. It stays the same when the message is sent again
 * @param now the moment of this request, in milliseconds since the epoch
 */
export function signatureHeaders(
  id: string,
  now: number,
  rawBody: Uint8Array,
  secrets: readonly string[],
): Record<`webhook-${'id' | 'timestamp' | 'signature'}`, string> {
  const timestamp = String(Math.floor(now / 1000))
  const message = messageOf(id, timestamp, rawBody)
  const keys = secrets.map(parseStandardKey).filter((key) => key?.version === 'v1')
  const signatures = keys.map((key) => `v1,${digest(key, message).toString('base64')}`)
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signatures.join(' ') }
}

function messageOf(id: string, timestamp: string, rawBody: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`${id}.${timestamp}.`), rawBody])
}

function digest({ secret }: SecretKey, message: Buffer): Buffer {
  return createHmac('sha256', secret).update(message).digest()
}

function matches(key: StandardKey, message: Buffer, signature: Buffer): boolean {
  if (key.version === 'v1a') return verify(null, message, key.publicKey, signature)
  const expected = digest(key, message)
  return signature.length === expected.length && timingSafeEqual(signature, expected)
}
