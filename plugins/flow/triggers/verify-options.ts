import { z } from 'zod'
import { parseStandardKey } from '../../lib/standard-webhooks.ts'
import type { MaybePromise } from '../../../kernel/index.ts'

/** One secret, or several secrets that are all valid during a rotation. */
type Secret = string | readonly string[]

/** A signature of GitHub or Stripe over the raw body. */
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
  /** The header that contains the signature. */
  header: string
  secret: Secret
  /** Default `sha256`. */
  algorithm?: 'sha1' | 'sha256' | 'sha384' | 'sha512'
  /** Default `hex`. */
  encoding?: 'hex' | 'base64' | 'base64url'
  /** Text before the signature in the header, such as `sha256=`. */
  prefix?: string
  /** The header that contains the timestamp, in seconds or milliseconds. The signature has to cover it. */
  timestampHeader?: string
  /** The signed text. Default `{body}`, or `{timestamp}.{body}` with a timestamp. Slack uses `v0:{timestamp}:{body}`. */
  signed?: string
  /** How far the timestamp may be from now, in milliseconds. Default 300,000. */
  tolerance?: number
}

/**
 * The signature of Standard Webhooks (Svix and others) over `webhook-id`, `webhook-timestamp` and the body. At least one
 * of the signatures in the header `webhook-signature` has to be valid.
 */
interface StandardWebhooks {
  type: 'standard'
  /** `whsec_` and base64, or base64 alone; `whpk_` and base64 for the public key of signatures `v1a`. */
  secret: Secret
  /** How far the timestamp may be from now, in milliseconds. Default 300,000. */
  tolerance?: number
}

/** How the sender of a request is verified. All comparisons take constant time. */
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

const missing = 'The secret is missing or empty. Set it, or use verify: "none".'
const text = z.string(missing).min(1, missing)
const secret = z.union([text, z.array(text).min(1, missing)], missing)
const name = z.string().min(1).optional()

/** Braces that look like a placeholder. */
const UNKNOWN_PLACEHOLDER = /\{(?!(?:body|timestamp)\})[\w .-]*\}/

const tolerance = z.number().min(0).optional()

const scheme = z
  .strictObject({ type: z.literal('hmac'), scheme: z.enum(['github', 'stripe']), secret, tolerance })
  .refine(
    (one) => one.scheme === 'stripe' || one.tolerance === undefined,
    'GitHub sends no timestamp, so remove the tolerance.',
  )

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
      .includes('{body}', 'The option "signed" must contain {body}.')
      .refine(
        (given) => !UNKNOWN_PLACEHOLDER.test(given),
        'Only the placeholders {body} and {timestamp} exist. For webhook-id, use type "standard".',
      )
      .optional(),
    tolerance,
  })
  .refine(
    ({ timestampHeader, signed = timestampHeader && '{timestamp}' }) =>
      (timestampHeader === undefined) === !signed?.includes('{timestamp}'),
    'A timestamp proves nothing unless it is signed. Set both timestampHeader and {timestamp} in signed, or neither.',
  )
  .refine(
    (one) => one.tolerance === undefined || one.timestampHeader !== undefined,
    'A tolerance needs a timestampHeader.',
  )

const key = text.refine(
  (given) => parseStandardKey(given) !== undefined,
  'Expected "whsec_" and base64, or "whpk_" and the base64 of a public key of 32 bytes.',
)
const standard = z.strictObject({
  type: z.literal('standard'),
  secret: z.union([key, z.array(key).min(1, missing)], 'A secret is missing, empty or not base64.'),
  tolerance,
})

const apiKey = z
  .strictObject({ type: z.literal('apiKey'), secret, header: name, query: name })
  .refine(
    ({ header, query }) => (header === undefined) !== (query === undefined),
    'Set exactly one of header and query.',
  )

const others = z.discriminatedUnion('type', [
  own,
  standard,
  z.strictObject({ type: z.literal('bearer'), secret }),
  apiKey,
  z.strictObject({ type: z.literal('basic'), username: z.string(), secret }),
])

/** Checks the value against the most likely shape, so that errors are about that shape. */
export const verifyShape = z.unknown().superRefine((value, ctx) => {
  if (value === 'none' || typeof value === 'function') return
  if (typeof value !== 'object' || value === null) {
    const expected = 'Set how requests are verified, or "none" to let anyone fire the trigger.'
    ctx.addIssue({ code: 'custom', message: expected })
    return
  }
  const shape = 'scheme' in value ? scheme : others
  for (const { message, path } of shape.safeParse(value).error?.issues ?? []) {
    ctx.addIssue({ code: 'custom', message, path: [...path] })
  }
})
