import { createHash, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import type { HttpAction } from './access.ts'

/** The minimum length of a token. Short tokens can be guessed; 16 characters of base64 are 96 bits. */
const SHORTEST = 16

const secret = z
  .string()
  .min(SHORTEST, `A token has at least ${SHORTEST} characters. Make one with: openssl rand -base64 24`)
  .regex(/^[\x21-\x7e]+$/, 'A token consists of printable ASCII characters, without spaces')
const entry = z.union([
  secret,
  z.strictObject({
    token: secret,
    role: z.enum(['read', 'write']).default('write'),
    /** What the audit calls requests with it. Default: `read` or `write`. */
    name: z.string().min(1).max(100).optional(),
  }),
])

/**
 * One or several tokens. In a text, commas separate the tokens, and tokens with the prefix `read:` may only read.
 */
export const token = z.preprocess(
  (value) => (typeof value === 'string' ? value.split(',').map(fromText) : value),
  z.array(entry).min(1, 'Name at least one token, or leave http.token out.'),
)

type Token = z.infer<typeof token>
type Role = 'read' | 'write'

/** Who has a token. */
export interface Holder {
  role: Role
  /** What the audit calls it. */
  actor: string
}

function fromText(text: string): unknown {
  const [, role, secret] = /^\s*(?:(read|write):)?(.*?)\s*$/s.exec(text)!
  return role === undefined ? secret : { token: secret, role }
}

/** Returns a function that finds the role and the name of a request by its bearer token. It compares digests in constant time. */
export function createTokenCheck(tokens: Token): (request: Request) => Holder | undefined {
  const known = tokens.map((one) => {
    const {
      token,
      role,
      name = role,
    } = typeof one === 'string' ? { token: one, role: 'write' as const, name: undefined } : one
    return { digest: digest(token), role, actor: `token ${name}` }
  })
  return ({ headers }) => {
    const given = digest(/^bearer +(\S+) *$/i.exec(headers.get('authorization') ?? '')?.[1] ?? '')
    // Compares all tokens, so that the time does not reveal which one matched.
    const matches = known.filter((one) => timingSafeEqual(one.digest, given))
    return matches.find(({ role }) => role === 'write') ?? matches[0]
  }
}

/** Returns whether a role allows an action. `read` allows the actions that end in `.read`. */
export function permits(role: Role, { type }: HttpAction): boolean {
  return role === 'write' || type.endsWith('.read')
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
