import { createHmac, createPublicKey, timingSafeEqual, verify, type KeyObject } from 'node:crypto'

/** The size of an Ed25519 public key in bytes. */
const PUBLIC_KEY = 32
/** How many signatures of a header are checked. */
const MAX_SIGNATURES = 16

export type StandardKey = { version: 'v1'; secret: Buffer } | { version: 'v1a'; publicKey: KeyObject }

/** Parses a secret or public key in the format of Standard Webhooks. Returns `undefined` for any other text. */
export function keyOf(text: string): StandardKey | undefined {
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
  const message = Buffer.concat([Buffer.from(`${id}.${timestamp}.`), rawBody])
  const given = signatures.split(' ').slice(0, MAX_SIGNATURES)
  const checks = given.flatMap((one) => {
    const [version, base64 = ''] = one.split(',', 2)
    const signature = Buffer.from(base64, 'base64')
    return keys.filter((key) => key.version === version).map((key) => matches(key, message, signature))
  })
  return checks.includes(true)
}

function matches(key: StandardKey, message: Buffer, signature: Buffer): boolean {
  if (key.version === 'v1a') return verify(null, message, key.publicKey, signature)
  const expected = createHmac('sha256', key.secret).update(message).digest()
  return signature.length === expected.length && timingSafeEqual(signature, expected)
}
