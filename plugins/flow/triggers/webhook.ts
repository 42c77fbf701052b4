import { gunzipSync } from 'node:zlib'
import { isQueueError, QueueError, type Kernel } from '../../../kernel/index.ts'
import { mediaOf } from '../lib/media-type.ts'
import type { Book } from './book.ts'
import type { TriggerSource, WebhookFacts } from './definition.ts'
import type { Firing } from './fire.ts'

type WebhookSource = Extract<TriggerSource, { type: 'webhook' }>

/** The path prefix of all webhooks that fire triggers. */
export const ROUTE = 'triggers/'

/** How long the answer to a challenge may be, in characters. Slack and Meta send less than a hundred. */
const MAX_PROOF = 1024

/** Headers that name a delivery, whoever sends it. */
const DELIVERY_HEADERS = [
  'x-github-delivery',
  'webhook-id',
  'svix-id',
  'x-shopify-webhook-id',
  'i-twilio-idempotency-token',
  'idempotency-key',
]

/** Answers requests to the webhooks of triggers. */
export function createWebhookHandler(kernel: Kernel, book: Book, { fire }: Firing) {
  return async (request: Request, path: string): Promise<Response> => {
    const trigger = book.all().find(({ options }) => options.type === 'webhook' && options.path === path)
    if (trigger?.options.type !== 'webhook') {
      throw new QueueError('TRIGGER_UNKNOWN', `No trigger has a webhook at "${path}".`)
    }
    if (request.method === 'GET' && trigger.options.challenge) return probe(trigger.options, request)
    if (request.method !== 'POST') {
      const message = `A webhook takes POST; got ${request.method}.`
      throw new QueueError('WEBHOOK_INVALID', message, { details: { status: 405 } })
    }
    const rawBody = new Uint8Array(await request.clone().arrayBuffer())
    await trigger.verify!(request, rawBody, kernel.clock.now())
    const { headers, url } = request
    const facts: WebhookFacts = {
      headers,
      query: new URL(url).searchParams,
      body: parseBody(headers, unpack(headers, rawBody, kernel.config.payloadLimit)),
      rawBody,
    }
    const proof = proofOf(trigger.options, facts)
    if (proof !== undefined) return told(proof)
    const [id, payload] = read(trigger.options, facts)
    const { deduplicated } = await fire(trigger, payload, { id })
    return Response.json({ id, deduplicated }, { status: 202 })
  }

  /** A sender that asks, before its first delivery, whether it is expected. */
  function probe(options: WebhookSource, { headers, url }: Request): Response {
    const query = new URL(url).searchParams
    const proof = proofOf(options, { headers, query, body: undefined, rawBody: new Uint8Array() })
    if (proof === undefined)
      throw new QueueError('WEBHOOK_REFUSED', 'The challenge of the webhook refuses this request.')
    return told(proof)
  }

  function read({ id, payload, verify }: WebhookSource, facts: WebhookFacts): [id: string, payload: unknown] {
    try {
      const named: unknown = id ? id(facts) : (deliveryOf(facts, verify) ?? kernel.newId())
      if (typeof named !== 'string' || named === '' || named.length > 255) {
        throw new QueueError('WEBHOOK_INVALID', 'The id of a delivery is text of 1 to 255 characters; there is none.')
      }
      return [named, payload ? payload(facts) : facts.body]
    } catch (cause) {
      if (isQueueError(cause)) throw cause
      throw new QueueError('WEBHOOK_INVALID', 'The request does not hold what this trigger reads from it.', { cause })
    }
  }
}

/** What the challenge of a trigger makes of a request, if it is one. */
function proofOf({ challenge }: WebhookSource, facts: WebhookFacts): string | undefined {
  let proof: unknown
  try {
    proof = challenge?.(facts)
  } catch (cause) {
    throw new QueueError('WEBHOOK_INVALID', 'The request does not hold what the challenge reads from it.', { cause })
  }
  if (proof === undefined || proof === null) return undefined
  if (typeof proof === 'string' && proof.length <= MAX_PROOF) return proof
  throw new QueueError('WEBHOOK_INVALID', `A challenge returns text of at most ${MAX_PROOF} characters, or nothing.`)
}

/** Text that somebody else has chosen: no browser takes it for a page. */
function told(proof: string): Response {
  const headers = { 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff' }
  return new Response(proof, { headers: { ...headers, 'content-security-policy': "default-src 'none'; sandbox" } })
}

function deliveryOf({ headers, body }: WebhookFacts, verify: WebhookSource['verify']): string | undefined {
  const stripe = typeof verify === 'object' && 'scheme' in verify && verify.scheme === 'stripe'
  if (stripe && typeof body === 'object' && body !== null && 'id' in body) return String(body.id)
  const header = DELIVERY_HEADERS.find((name) => headers.get(name))
  return header && headers.get(header)!
}

function parseBody(headers: Headers, rawBody: Uint8Array): unknown {
  if (rawBody.byteLength === 0) return undefined
  const text = new TextDecoder().decode(rawBody)
  const media = mediaOf(headers)
  if (media === 'form') return Object.fromEntries(new URLSearchParams(text))
  if (media === 'other') return text
  try {
    return JSON.parse(text) as unknown
  } catch (cause) {
    throw new QueueError('WEBHOOK_INVALID', 'The body says that it is JSON, and is not.', { cause })
  }
}

/** The body as it was before it was compressed. Signatures are over what came. @throws QueueError `PAYLOAD_TOO_LARGE` */
function unpack(headers: Headers, rawBody: Uint8Array, limit: number): Uint8Array {
  const encoding = (headers.get('content-encoding') ?? 'identity').trim().toLowerCase()
  if (encoding !== 'gzip' || rawBody.byteLength === 0) return rawBody
  try {
    return gunzipSync(rawBody, { maxOutputLength: limit })
  } catch (cause) {
    const tooLarge = (cause as { code?: unknown }).code === 'ERR_BUFFER_TOO_LARGE'
    if (!tooLarge) throw new QueueError('WEBHOOK_INVALID', 'The body says that it is gzip, and is not.', { cause })
    const message = `The body holds more than ${limit} bytes once it is unpacked, which is payloadLimit.`
    throw new QueueError('PAYLOAD_TOO_LARGE', message, { cause })
  }
}
