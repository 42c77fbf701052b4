import { z } from 'zod'
import { isNetwork } from '../lib/client-address.ts'
import type { Authorize } from './access.ts'
import { token } from './token.ts'

const MIB = 1024 * 1024
/** The longest delay of a Node timer, in milliseconds. */
const MAX_TIMER = 2 ** 31 - 1

export const options = z.strictObject({
  /** The path of all routes. Default `/_queue/`. */
  path: z
    .string()
    .regex(/^\/(?:[^/?#\s%:*]+\/)*$/, 'It starts and ends with a slash, such as "/_queue/".')
    .default('/_queue/'),
  /** Decides who may do what. By default, development serves requests from this machine, and production serves none. */
  authorize: z.custom<Authorize>((value) => typeof value === 'function', 'It is a function.').optional(),
  /** Milliseconds that `authorize` may take before a request is refused with 503. Default 10,000. */
  authorizeTimeout: z.number().int().min(1).max(MAX_TIMER).default(10_000),
  /**
   * One or several bearer tokens that may use the interface, each of at least 16 characters. `{ token, role: 'read' }`
   * may only read, and `{ token, role: 'metrics' }` may only read metrics. If `authorize` is set too, it decides about requests without one of these tokens. The tokens can be
   * one text, also in `NUXT_QUEUE_HTTP_TOKEN`: `first,second,read:third,metrics:fourth`.
   *
   * @example
   * http: { token: process.env.QUEUE_TOKEN }
   */
  token: token.optional(),
  /** Origins of other sites that may use it from a browser, such as `https://admin.example.com`. Default: none. */
  cors: z.union([z.literal(false), z.array(z.url({ protocol: /^https?$/ }))]).default(false),
  /** More names of this host, without a port, that are served while neither `token` nor `authorize` is set. */
  allowedHosts: z.array(z.string().min(1)).default([]),
  /** Milliseconds between two heartbeats on each stream. Default 15,000. */
  heartbeat: z.number().int().min(100).default(15_000),
  /** How many streams may be open in this process. Default 10,000. */
  maxConnections: z.number().int().min(0).default(10_000),
  /** The largest body, in bytes. Default 1 MiB. */
  maxBody: z.number().int().min(0).default(MIB),
  /** How many bytes may wait for a client before it is disconnected. Default 1 MiB. */
  maxBacklog: z.number().int().min(1024).default(MIB),
  /**
   * Limits requests of an address that has not authenticated: refused ones (401, 403, rejected webhooks) and ones that
   * are still being decided. It may make `burst` at once and then `perSecond`; any more get 429. Requests from this
   * machine and requests with a known token are not limited. Default `{ burst: 1000, perSecond: 10 }`; `false` for no limit.
   */
  addressLimit: z
    .union([
      z.literal(false),
      z.strictObject({
        /** How many at once. */
        burst: z.number().int().min(1).default(1000),
        /** How many each second after that. */
        perSecond: z.number().positive().finite().default(10),
      }),
    ])
    .default({ burst: 1000, perSecond: 10 }),
  /**
   * Proxies whose `X-Forwarded-For` says where a request comes from: addresses, networks such as `10.0.0.0/8`, or
   * `private` for all that are on a private network. Default: none.
   */
  trustedProxies: z
    .array(z.string().refine(isNetwork, 'It is an address, a network such as "10.0.0.0/8", or "private".'))
    .default([]),
  /** Whether `authorize` is needed. Default: whether `NODE_ENV` is `production`. */
  production: z.boolean().default(() => process.env.NODE_ENV === 'production'),
})

export type HttpOptions = z.infer<typeof options>
