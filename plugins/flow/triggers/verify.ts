import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { QueueError } from '../../../kernel/index.ts'
import { isSigned, parseStandardKey } from '../../lib/standard-webhooks.ts'
import type { Verify } from './verify-options.ts'

/** Resolves for a request whose sender is verified. @throws QueueError `WEBHOOK_REFUSED` */
export type Verifier = (request: Request, rawBody: Uint8Array, now: number) => Promise<void>

type Hmac = Extract<Verify, { type: 'hmac' }>
type OwnHmac = Extract<Hmac, { header: string }>
type Secret = Hmac['secret']

const TOLERANCE = 300_000
/** Larger timestamps are in milliseconds. In seconds, this is the year 5138. */
const MAX_SECONDS = 1e11

const NO_OPTIONS: Partial<OwnHmac> = {}
const GITHUB = { header: 'x-hub-signature-256', prefix: 'sha256=' }

/** Returns the function that verifies requests to a webhook. */
export function createVerifier(verify: Verify): Verifier {
  if (verify === 'none') return async () => {}
  if (typeof verify === 'function') {
    return async (request, rawBody) => {
      const accepted: unknown = await verify(request.clone(), rawBody)
      if (accepted !== true) throw refused('The verify function of the webhook rejected the request.')
    }
  }
  switch (verify.type) {
    case 'hmac':
      return hmacVerifier(verify)
    case 'standard':
      return standardVerifier(verify)
    case 'bearer':
      return async ({ headers }) => {
        const token = /^bearer (.+)$/i.exec(headers.get('authorization') ?? '')?.[1]
        assertSecret(token, verify.secret, 'the bearer token in the header authorization')
      }
    case 'apiKey':
      return async ({ headers, url }) => {
        if ('header' in verify) assertSecret(headers.get(verify.header), verify.secret, `the header ${verify.header}`)
        else {
          const given = new URL(url).searchParams.get(verify.query)
          assertSecret(given, verify.secret, `the parameter ${verify.query}`)
        }
      }
    case 'basic':
      return async ({ headers }) => {
        const [, encoded] = /^basic (.+)$/i.exec(headers.get('authorization') ?? '') ?? []
        const given = encoded && Buffer.from(encoded, 'base64').toString()
        const pairs = [verify.secret].flat().map((secret) => `${verify.username}:${secret}`)
        assertSecret(given, pairs, 'user name and password in the header authorization')
      }
  }
}

function standardVerifier({ secret, tolerance = TOLERANCE }: Extract<Verify, { type: 'standard' }>): Verifier {
  const keys = [secret].flat().flatMap((text) => parseStandardKey(text) ?? [])
  return async ({ headers }, rawBody, now) => {
    // Svix sends the same headers under different names.
    const prefix = headers.has('webhook-id') ? 'webhook' : 'svix'
    const [id, timestamp, signatures] = ['id', 'timestamp', 'signature'].map((name) => headers.get(`${prefix}-${name}`))
    if (!id || !timestamp || !signatures) throw refused('A header webhook-id, -timestamp or -signature is missing.')
    assertRecent(timestamp, tolerance, now)
    if (isSigned({ id, timestamp, signatures }, rawBody, keys)) return
    throw refused('No signature in the header is valid for this id, body and secret.')
  }
}

function hmacVerifier(verify: Hmac): Verifier {
  const { tolerance = TOLERANCE } = verify
  const { algorithm = 'sha256', encoding = 'hex' } = 'header' in verify ? verify : NO_OPTIONS
  return async ({ headers }, rawBody, now) => {
    const { header, signatures, timestamp, signed } = readSignature(verify, headers)
    if (signatures.length === 0) throw refused(`The signature in the header ${header} is missing or malformed.`)
    if (signed.includes('{timestamp}')) assertRecent(timestamp, tolerance, now)
    const message = fill(signed, timestamp ?? '', rawBody)
    const expected = [verify.secret]
      .flat()
      .map((secret) => createHmac(algorithm, secret).update(message).digest(encoding))
    const given = encoding === 'hex' ? signatures.map((signature) => signature.toLowerCase()) : signatures
    if (!anyEqual(given, expected)) throw refused('The signature is not valid for this body and secret.')
  }
}

/** Reads signatures and timestamp from the headers. `signed` is the template of the signed text. */
function readSignature(verify: Hmac, headers: Headers) {
  if ('scheme' in verify && verify.scheme === 'stripe') {
    const header = 'stripe-signature'
    const pairs = (headers.get(header) ?? '').split(',').map((pair) => pair.trim().split('=', 2))
    const valuesOf = (wanted: string): string[] =>
      pairs.flatMap(([name, value]) => (name === wanted && value ? [value] : []))
    return { header, signatures: valuesOf('v1'), timestamp: valuesOf('t')[0], signed: '{timestamp}.{body}' }
  }
  const own: Partial<OwnHmac> & typeof GITHUB = 'header' in verify ? { ...verify, prefix: verify.prefix ?? '' } : GITHUB
  const value = headers.get(own.header)
  const signatures = value?.startsWith(own.prefix) ? [value.slice(own.prefix.length)] : []
  const timestamp = own.timestampHeader === undefined ? undefined : headers.get(own.timestampHeader)
  const { signed = own.timestampHeader === undefined ? '{body}' : '{timestamp}.{body}' } = own
  return { header: own.header, signatures, timestamp: timestamp ?? undefined, signed }
}

function assertRecent(timestamp: string | undefined, tolerance: number, now: number): void {
  const value = /^\d+$/.test(timestamp ?? '') ? Number(timestamp) : Number.NaN
  const at = value > MAX_SECONDS ? value : value * 1000
  if (Math.abs(now - at) <= tolerance) return
  throw refused(`The timestamp is missing, or more than ${tolerance} ms from now. The request may be a replay.`)
}

/** Returns the signed bytes: the template with the timestamp and the unchanged bytes of the body. */
function fill(signed: string, timestamp: string, rawBody: Uint8Array): Buffer {
  const parts = signed.replaceAll('{timestamp}', timestamp).split('{body}')
  return Buffer.concat(
    parts.flatMap((part, index) => (index === 0 ? [Buffer.from(part)] : [rawBody, Buffer.from(part)])),
  )
}

function assertSecret(given: string | null | undefined, secret: Secret, where: string): void {
  if (anyEqual([given ?? ''], [secret].flat())) return
  throw refused(`The secret expected in ${where} is missing or wrong.`)
}

/** Compares all pairs by digests of equal length, so that the time reveals nothing about the difference. */
function anyEqual(given: readonly string[], expected: readonly string[]): boolean {
  const wanted = expected.map(digest)
  let found = false
  for (const one of given.map(digest)) for (const other of wanted) found = timingSafeEqual(one, other) || found
  return found
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

function refused(message: string): QueueError {
  return new QueueError('WEBHOOK_REFUSED', message)
}
