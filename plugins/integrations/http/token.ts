import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import type { HttpAction } from './access.ts'

/** The minimum length of a token. Short tokens can be guessed; 16 characters of base64 are 96 bits. */
const MIN_LENGTH = 16

const secret = z
  .string()
  .min(MIN_LENGTH, `A token has at least ${MIN_LENGTH} characters. Make one with: openssl rand -base64 24`)
  .regex(/^[\x21-\x7e]+$/, 'A token consists of printable ASCII characters, without spaces')
const entry = z.union([
  secret,
  z.strictObject({
    token: secret,
    role: z.enum(['read', 'write', 'metrics']).default('write'),
    /** The name of requests with this token in the audit. Default: its role. */
    name: z.string().min(1).max(100).optional(),
  }),
])

const tokens = z.array(entry).min(1, 'Set at least one token, or remove http.token.')

/**
 * One or several tokens. In a string, commas separate the tokens. Tokens with the prefix `read:` may only read, and tokens with the prefix
 * `metrics:` may only read metrics.
 */
export const token: z.ZodType<Token, string | z.input<typeof tokens>> = z.preprocess(
  (value) => (typeof value === 'string' ? value.split(',').map(fromText) : value),
  tokens,
)

type Token = z.infer<typeof tokens>
type Role = 'read' | 'write' | 'metrics'

/** The roles, starting with the role that allows the most. */
const RANKS: readonly Role[] = ['write', 'read', 'metrics']

/** The holder of a token. */
export interface Holder {
  role: Role
  /** The name of the holder in the audit. */
  actor: string
}

function fromText(text: string): unknown {
  const [, role, secret] = /^\s*(?:(read|write|metrics):)?(.*?)\s*$/s.exec(text)!
  return role === undefined ? secret : { token: secret, role }
}

export interface TokenCheck {
  /** Finds the holder of a request by its bearer token, or by the cookie of a session. */
  holderOf(request: Request): Holder | undefined
  /** Returns the cookie of a new session for a known token. */
  openSession(token: string): string | undefined
}

/** The name of the cookie that a browser has after it signed in. */
export const SESSION_COOKIE = 'nuxt-queue-session'
/** A browser may have cookies of several paths. A hostile client may send any number. */
const MAX_COOKIES = 4
/** How long a session lasts, in milliseconds. */
export const SESSION_DURATION = 12 * 60 * 60 * 1000

/**
 * Checks tokens and sessions in constant time. A session is the moment of its end, signed with the token. Every instance can therefore
 * verify it, and it ends when its token is removed.
 */
export function createTokenCheck(tokens: Token, now: () => number): TokenCheck {
  const known = tokens.map((one) => {
    const {
      token,
      role,
      name = role,
    } = typeof one === 'string' ? { token: one, role: 'write' as const, name: undefined } : one
    return { token, digest: digest(token), role, actor: `token ${name}` }
  })

  /** Compares all tokens, so that the time does not reveal which one matched. */
  function find(matches: (one: (typeof known)[number]) => boolean): (typeof known)[number] | undefined {
    const found = known.filter(matches)
    return found.toSorted((a, b) => RANKS.indexOf(a.role) - RANKS.indexOf(b.role))[0]
  }

  const ofToken = (given: string) => find((one) => timingSafeEqual(one.digest, digest(given)))

  function ofSession(cookie: string) {
    const [end = '', signature = ''] = cookie.split('.')
    if (!/^\d{1,15}$/.test(end) || Number(end) <= now()) return undefined
    return find(({ token }) => timingSafeEqual(digest(sign(token, end)), digest(signature)))
  }

  return {
    holderOf({ headers }) {
      const bearer = /^bearer +(\S+) *$/i.exec(headers.get('authorization') ?? '')?.[1]
      if (bearer !== undefined) return ofToken(bearer)
      const holders = sessionsOf(headers.get('cookie')).map(ofSession)
      return holders.find((holder) => holder !== undefined)
    },
    openSession(given) {
      const owner = ofToken(given)
      if (!owner) return undefined
      const end = String(now() + SESSION_DURATION)
      return `${end}.${sign(owner.token, end)}`
    },
  }
}

function sessionsOf(cookies: string | null): string[] {
  const prefix = `${SESSION_COOKIE}=`
  const all = (cookies ?? '').split(';').map((cookie) => cookie.trim())
  return all
    .filter((cookie) => cookie.startsWith(prefix))
    .map((cookie) => cookie.slice(prefix.length))
    .slice(0, MAX_COOKIES)
}

function sign(token: string, end: string): string {
  return createHmac('sha256', token).update(`nuxt-queue session until ${end}`).digest('base64url')
}

/** Returns whether a role allows an action. `read` allows the actions that end in `.read`, and `metrics` allows `metrics.read`. */
export function permits(role: Role, { type }: HttpAction): boolean {
  if (role === 'metrics') return type === 'metrics.read' || type === 'health.read'
  return role === 'write' || type.endsWith('.read')
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
