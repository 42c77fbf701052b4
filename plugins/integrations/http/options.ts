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
    .regex(/^\/(?:[^/?#\s%:*]+\/)*$/, 'It must start and end with a slash, such as "/_queue/".')
    .default('/_queue/'),
  /** Decides who may take which action. By default, development serves requests from this machine, and production serves no requests. */
  authorize: z.custom<Authorize>((value) => typeof value === 'function', 'It must be a function.').optional(),
  /** How long `authorize` may take before a request is refused with 503, in milliseconds. Default 10,000. */
  authorizeTimeout: z.number().int().min(1).max(MAX_TIMER).default(10_000),
  /**
   * One or several bearer tokens that may use the interface, each of at least 16 characters. `{ token, role: 'read' }`
   * may only read, and `{ token, role: 'metrics' }` may only read metrics. If `authorize` is set too, it decides about requests without one
   * of these tokens. The tokens can be one string, also in `NUXT_QUEUE_HTTP_TOKEN`: `first,second,read:third,metrics:fourth`.
   *
   * @example
   * http: { token: process.env.QUEUE_TOKEN }
   */
  token: token.optional(),
  /** Origins of other sites that may use the interface from a browser, such as `https://admin.example.com`. Default: none. */
  cors: z.union([z.literal(false), z.array(z.url({ protocol: /^https?$/ }))]).default(false),
  /** Additional names of this host, without a port, that are served while neither `token` nor `authorize` is set. */
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
   * Limits the requests of an address that has not authenticated: refused requests (401, 403, rejected webhooks) and requests that are
   * still being authorized. An address may make `burst` requests at once and then `perSecond` requests per second. Further requests get
   * 429. Requests from this machine and requests with a known token are not limited. Default `{ burst: 1000, perSecond: 10 }`; `false` for
   * no limit.
   */
  addressLimit: z
    .union([
      z.literal(false),
      z.strictObject({
        /** The number of requests at once. */
        burst: z.number().int().min(1).default(1000),
        /** The number of requests per second after that. */
        perSecond: z.number().positive().finite().default(10),
      }),
    ])
    .default({ burst: 1000, perSecond: 10 }),
  /**
   * Proxies whose `X-Forwarded-For` is trusted: addresses, networks such as `10.0.0.0/8`, or `private` for all proxies on a private
   * network. Default: none.
   */
  trustedProxies: z
    .array(z.string().refine(isNetwork, 'It must be an address, a network such as "10.0.0.0/8", or "private".'))
    .default([]),
  /** Whether `authorize` is needed. Default: whether `NODE_ENV` is `production`. */
  production: z.boolean().default(() => process.env.NODE_ENV === 'production'),
})

export type HttpOptions = z.infer<typeof options>
