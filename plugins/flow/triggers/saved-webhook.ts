import { z } from 'zod'
import { QueueError } from '../../../kernel/index.ts'
import { createVerifier, type Verifier } from './verify.ts'
import { verifyShape, type Verify } from './verify-options.ts'

/** The names of variables that a saved webhook may use. Others, such as the password of a database, are no secrets of webhooks. */
const VARIABLE = /^NUXT_QUEUE_WEBHOOK_[A-Z0-9_]+$/
const EXPECTED =
  'Expected the name of an environment variable that begins with NUXT_QUEUE_WEBHOOK_, or several during a rotation.'
/** Stands in for the secret while the other options are checked. Each kind of signature accepts it. */
const PLACEHOLDER = 'whsec_c2VjcmV0'

type Named<T> = T extends { secret: unknown } ? Omit<T, 'secret'> & { secretEnv: string | readonly string[] } : never

/** The options of `verify` with the name of the environment variable that has the secret. Every process reads its own. */
export type SavedVerify = Named<Verify>

const variable = z.string(EXPECTED).regex(VARIABLE, EXPECTED)
const variables = z.union([variable, z.array(variable).min(1, EXPECTED)], EXPECTED)

export const savedVerifyShape = z.unknown().superRefine((value, ctx) => {
  const add = (message: string, path: PropertyKey[] = []): void => ctx.addIssue({ code: 'custom', message, path })
  if (typeof value !== 'object' || value === null) return add('Expected the options of a signature or a token.')
  const { secretEnv, ...rest } = value as Partial<SavedVerify>
  if ('secret' in rest) return add('Everybody who may read triggers would see it. Set "secretEnv" instead.', ['secret'])
  if (!variables.safeParse(secretEnv).success) add(EXPECTED, ['secretEnv'])
  const { error } = verifyShape.safeParse({ ...rest, secret: PLACEHOLDER })
  for (const { message, path } of error?.issues ?? []) add(message, path)
})

/** Returns the secrets that are set in this process. */
const secretsOf = ({ secretEnv }: SavedVerify): string[] =>
  [secretEnv].flat().flatMap((name) => process.env[name] || [])

const withSecret = ({ secretEnv: _name, ...rest }: SavedVerify, secret: readonly string[]): Verify => ({
  ...rest,
  secret,
})

/** Returns the options without any secret. They still say which sender the webhook is for. */
export const withoutSecret = (verify: SavedVerify): Verify => withSecret(verify, [])

/** @throws QueueError `TRIGGER_INVALID` if this process does not have the secret, or if it has the wrong form */
export function checkSecret(trigger: string, verify: SavedVerify): void {
  const names = [verify.secretEnv].flat().join(', ')
  const secret = secretsOf(verify)
  if (secret.length > 0 && verifyShape.safeParse(withSecret(verify, secret)).success) return
  const what = secret.length === 0 ? 'is not set' : 'has no secret of the form that the webhook needs'
  const hint = 'Set it in all processes, and save the trigger again.'
  throw new QueueError('TRIGGER_INVALID', `The environment variable ${names} of trigger "${trigger}" ${what}. ${hint}`)
}

/** Returns the function that verifies requests to a saved webhook. It reads the secret with each request. */
export function createSavedVerifier(verify: SavedVerify): Verifier {
  return async (request, rawBody, now) => {
    const secret = secretsOf(verify)
    if (secret.length === 0) {
      const message = 'The secret of this webhook is not set in this process. Set its environment variable.'
      throw new QueueError('WEBHOOK_REFUSED', message, { details: { status: 503 } })
    }
    await createVerifier(withSecret(verify, secret))(request, rawBody, now)
  }
}
