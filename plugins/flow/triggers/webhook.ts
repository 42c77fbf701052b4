import { gunzipSync } from 'node:zlib'
import { isQueueError, QueueError, type Kernel } from '../../../kernel/index.ts'
import { traceHeadersOf } from '../../lib/trace-headers.ts'
import { mediaOf } from '../lib/media-type.ts'
import type { RunningTriggers } from './running.ts'
import type { Trigger } from './trigger-registry.ts'
import type { TriggerSource, WebhookFacts } from './definition.ts'
import type { Firing } from './fire.ts'
import { refusalOf, type History } from './history.ts'

type WebhookSource = Extract<TriggerSource, { type: 'webhook' }>

/** A request that is an event of a trigger. */
interface Delivery {
  id: string
  payload: unknown
  verified: boolean
}

/** The path prefix of the webhooks of triggers. */
export const ROUTE = 'triggers/'

/** The longest response to a challenge, in characters. Slack and Meta need less than a hundred. */
const MAX_PROOF = 1024

/** Headers in which common senders put the id of a delivery. */
const DELIVERY_HEADERS = [
  'x-github-delivery',
  'webhook-id',
  'svix-id',
  'x-shopify-webhook-id',
  'i-twilio-idempotency-token',
  'idempotency-key',
]

/** Handles requests to the webhooks of triggers. */
export function createWebhookHandler(kernel: Kernel, running: RunningTriggers, { fire }: Firing, history: History) {
  return async (request: Request, path: string): Promise<Response> => {
    const trigger = await running.atPath(path)
    if (trigger?.options.type !== 'webhook') {
      throw new QueueError('TRIGGER_UNKNOWN', `No trigger has a webhook at "${path}".`)
    }
    if (request.method === 'GET' && trigger.options.challenge) return respondToGet(trigger.options, request)
    if (request.method !== 'POST') {
      const message = `A webhook accepts only POST; got ${request.method}.`
      throw new QueueError('METHOD_UNKNOWN', message)
    }
    const rawBody = new Uint8Array(await request.clone().arrayBuffer())
    const delivery = await receive(trigger, trigger.options, request, rawBody)
    if (typeof delivery === 'string') return proofResponse(delivery)
    const { id, payload, verified } = delivery
    const { deduplicated } = await fire(trigger.name, payload, { id, headers: traceHeadersOf(request) }, verified)
    return Response.json({ id, deduplicated }, { status: 202 })
  }

  /** Verifies and reads a delivery, or returns the proof that its sender asks for. Records refused requests. */
  async function receive(
    { name, verify }: Trigger,
    options: WebhookSource,
    request: Request,
    rawBody: Uint8Array,
  ): Promise<string | Delivery> {
    let verified = false
    try {
      await verify!(request, rawBody, kernel.clock.now())
      verified = options.verify !== 'none'
      const { headers, url } = request
      const facts: WebhookFacts = {
        headers,
        query: new URL(url).searchParams,
        body: parseBody(headers, unpack(headers, rawBody, kernel.config.payloadLimit)),
        rawBody,
      }
      const proof = challengeResponseOf(options, facts)
      if (proof !== undefined) return proof
      const [id, payload] = read(options, facts)
      return { id, payload, verified }
    } catch (error) {
      await history.rejected(name, verified, refusalOf(error)).catch((cause: unknown) => {
        kernel.reporter.warn(`A refused request to trigger "${name}" could not be recorded.`, cause)
      })
      throw error
    }
  }

  /** Responds to a GET with which a sender checks the webhook before its first delivery. */
  function respondToGet(options: WebhookSource, { headers, url }: Request): Response {
    const query = new URL(url).searchParams
    const proof = challengeResponseOf(options, { headers, query, body: undefined, rawBody: new Uint8Array() })
    if (proof === undefined)
      throw new QueueError(
        'WEBHOOK_REFUSED',
        'The challenge function of the webhook returned no proof for this request.',
      )
    return proofResponse(proof)
  }

  function read({ id, payload, verify }: WebhookSource, facts: WebhookFacts): [id: string, payload: unknown] {
    try {
      const named: unknown = id ? id(facts) : (deliveryOf(facts, verify) ?? kernel.newId())
      if (typeof named !== 'string' || named === '' || named.length > 255) {
        throw new QueueError(
          'REQUEST_INVALID',
          'The id of a delivery must be text of 1 to 255 characters; got another value.',
        )
      }
      return [named, payload ? payload(facts) : facts.body]
    } catch (cause) {
      if (isQueueError(cause)) throw cause
      throw new QueueError('REQUEST_INVALID', 'The trigger could not read its id or payload from the request.', {
        cause,
      })
    }
  }
}

/** Returns the proof that the challenge function of a trigger makes for a request, if any. */
function challengeResponseOf({ challenge }: WebhookSource, facts: WebhookFacts): string | undefined {
  let proof: unknown
  try {
    proof = challenge?.(facts)
  } catch (cause) {
    throw new QueueError('REQUEST_INVALID', 'The challenge function could not read its values from the request.', {
      cause,
    })
  }
  if (proof === undefined || proof === null) return undefined
  if (typeof proof === 'string' && proof.length <= MAX_PROOF) return proof
  const expected = `text of at most ${MAX_PROOF} characters, or undefined`
  throw new QueueError('REQUEST_INVALID', `The challenge function must return ${expected}; got ${typeof proof}.`)
}

/** Returns a response with text that the sender has chosen. Its headers keep browsers from showing it as a page. */
function proofResponse(proof: string): Response {
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
    throw new QueueError('REQUEST_INVALID', 'The content type is JSON, but the body is not valid JSON.', { cause })
  }
}

/** Returns the decompressed body. Signatures cover the compressed one. @throws QueueError `PAYLOAD_TOO_LARGE` */
function unpack(headers: Headers, rawBody: Uint8Array, limit: number): Uint8Array {
  const encoding = (headers.get('content-encoding') ?? 'identity').trim().toLowerCase()
  if (encoding !== 'gzip' || rawBody.byteLength === 0) return rawBody
  try {
    return gunzipSync(rawBody, { maxOutputLength: limit })
  } catch (cause) {
    const tooLarge = (cause as { code?: unknown }).code === 'ERR_BUFFER_TOO_LARGE'
    if (!tooLarge)
      throw new QueueError('REQUEST_INVALID', 'The content encoding is gzip, but the body is not valid gzip.', {
        cause,
      })
    const message = `The decompressed body has more than ${limit} bytes, the payloadLimit.`
    throw new QueueError('PAYLOAD_TOO_LARGE', message, { cause })
  }
}
