import { z } from 'zod'
import { keyOf } from './standard-webhooks.ts'
import type { MaybePromise } from '../../../kernel/index.ts'

/** One secret, or several that count while they are exchanged. */
type Secret = string | readonly string[]

/** A signature over the raw body that GitHub or Stripe makes. */
interface SchemeHmac {
  type: 'hmac'
  scheme: 'github' | 'stripe'
  secret: Secret
  /** How old Stripe's timestamp may be, in milliseconds. Default 300,000. */
  tolerance?: number
}

/** Any other signature over the raw body. */
interface OwnHmac {
  type: 'hmac'
  /** Where the signature is. */
  header: string
  secret: Secret
  /** Default `sha256`. */
  algorithm?: 'sha1' | 'sha256' | 'sha384' | 'sha512'
  /** Default `hex`. */
  encoding?: 'hex' | 'base64' | 'base64url'
  /** What stands before the signature, such as `sha256=`. */
  prefix?: string
  /** Where the timestamp is, in seconds or milliseconds; it has to be signed as well. */
  timestampHeader?: string
  /** What is signed. Default `{body}`, with a timestamp `{timestamp}.{body}`; Slack's is `v0:{timestamp}:{body}`. */
  signed?: string
  /** How far the timestamp may be from now, in milliseconds. Default 300,000. */
  tolerance?: number
}

/**
 * The signature of Standard Webhooks (Svix and others) over `webhook-id`, `webhook-timestamp` and the body. One of
 * several signatures in the header `webhook-signature` has to be right.
 */
interface StandardWebhooks {
  type: 'standard'
  /** `whsec_` and base64, or base64 alone; `whpk_` and base64 for the public key of signatures `v1a`. */
  secret: Secret
  /** How far the timestamp may be from now, in milliseconds. Default 300,000. */
  tolerance?: number
}

/** How a request proves where it comes from. All compares take the same time whatever differs. */
export type Verify =
  | 'none'
  | SchemeHmac
  | OwnHmac
  | StandardWebhooks
  /** `Authorization: Bearer <secret>`. */
  | { type: 'bearer'; secret: Secret }
  /** The secret in a header, or in a parameter of the URL. */
  | { type: 'apiKey'; header: string; secret: Secret }
  | { type: 'apiKey'; query: string; secret: Secret }
  /** `Authorization: Basic`, with the secret as password. */
  | { type: 'basic'; username: string; secret: Secret }
  | ((request: Request, rawBody: Uint8Array) => MaybePromise<boolean>)

const missing = 'The secret is missing or empty. Set it, or say verify: "none".'
const text = z.string(missing).min(1, missing)
const secret = z.union([text, z.array(text).min(1, missing)], missing)
const name = z.string().min(1).optional()

/** Braces that look like something to fill in. */
const OTHER_PLACE = /\{(?!(?:body|timestamp)\})[\w .-]*\}/

const tolerance = z.number().min(0).optional()

const scheme = z
  .strictObject({ type: z.literal('hmac'), scheme: z.enum(['github', 'stripe']), secret, tolerance })
  .refine((one) => one.scheme === 'stripe' || one.tolerance === undefined, 'GitHub sends no timestamp to tolerate.')

const own = z
  .strictObject({
    type: z.literal('hmac'),
    secret,
    header: z.string().min(1),
    algorithm: z.enum(['sha1', 'sha256', 'sha384', 'sha512']).optional(),
    encoding: z.enum(['hex', 'base64', 'base64url']).optional(),
    prefix: z.string().optional(),
    timestampHeader: name,
    signed: z
      .string()
      .includes('{body}', 'What is signed has to contain {body}.')
      .refine(
        (given) => !OTHER_PLACE.test(given),
        'Only {body} and {timestamp} are filled in. For webhook-id, use type "standard".',
      )
      .optional(),
    tolerance,
  })
  .refine(
    ({ timestampHeader, signed = timestampHeader && '{timestamp}' }) =>
      (timestampHeader === undefined) === !signed?.includes('{timestamp}'),
    'A timestamp that is not signed proves nothing: timestampHeader and {timestamp} in signed go together.',
  )
  .refine(
    (one) => one.tolerance === undefined || one.timestampHeader !== undefined,
    'A tolerance needs a timestampHeader.',
  )

const key = text.refine(
  (given) => keyOf(given) !== undefined,
  'Expected "whsec_" and base64, or "whpk_" and the base64 of a public key of 32 bytes.',
)
const standard = z.strictObject({
  type: z.literal('standard'),
  secret: z.union([key, z.array(key).min(1, missing)], 'A secret is missing, empty or not base64.'),
  tolerance,
})

const apiKey = z
  .strictObject({ type: z.literal('apiKey'), secret, header: name, query: name })
  .refine(({ header, query }) => (header === undefined) !== (query === undefined), 'It takes one of header and query.')

const others = z.discriminatedUnion('type', [
  own,
  standard,
  z.strictObject({ type: z.literal('bearer'), secret }),
  apiKey,
  z.strictObject({ type: z.literal('basic'), username: z.string(), secret }),
])

/** Picks the shape that was meant, so that errors are about it. */
export const verifyShape = z.unknown().superRefine((value, ctx) => {
  if (value === 'none' || typeof value === 'function') return
  if (typeof value !== 'object' || value === null) {
    const expected = 'Say how requests prove where they come from, or "none" if anybody may fire it.'
    ctx.addIssue({ code: 'custom', message: expected })
    return
  }
  const shape = 'scheme' in value ? scheme : others
  for (const { message, path } of shape.safeParse(value).error?.issues ?? []) {
    ctx.addIssue({ code: 'custom', message, path: [...path] })
  }
})
