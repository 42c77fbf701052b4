import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'

/** The end of the URL of a wait: the key of the wait, which readers of the run can see, and a secret, which they cannot. */
export interface WaitToken {
  key: string
  /** Absent in tokens of earlier releases, which consist of the key alone. */
  secret?: string
}

/** Creates a token. The store has only its hash, so that a reader of the store cannot resolve the wait. */
export function createToken(key: string): { token: string; hash: string } {
  const secret = randomBytes(24).toString('base64url')
  return { token: `${key}.${secret}`, hash: hashOf(secret) }
}

export function parseToken(token: string): WaitToken {
  const dot = token.indexOf('.')
  return dot < 0 ? { key: token } : { key: token.slice(0, dot), secret: token.slice(dot + 1) }
}

export function hasHash(secret: string, hash: string): boolean {
  const [given, known] = [hashOf(secret), hash].map((text) => Buffer.from(text))
  return given!.length === known!.length && timingSafeEqual(given!, known!)
}

function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('base64url')
}
