import type { ClusterNode, ClusterOptions, RedisOptions } from 'ioredis'
import { z } from 'zod'

const record = <T extends object>() =>
  z.custom<T>((value) => typeof value === 'object' && value !== null && !Array.isArray(value), 'expected an object')

export const redisOptions = z.strictObject({
  /** A `redis://` or `rediss://` URL. Default: the environment variable `REDIS_URL`, read when the kernel starts. */
  url: z.string().min(1).optional(),
  /** Options of `ioredis`, including Sentinel and TLS. They take precedence over the URL. */
  options: record<RedisOptions>().optional(),
  /** A Redis Cluster, instead of a URL. List some of its nodes; the others are discovered. */
  cluster: z
    .strictObject({
      /** Their URLs, or `{ host, port }`. */
      nodes: z.array(z.custom<ClusterNode>()).min(1),
      options: record<ClusterOptions>().optional(),
    })
    .optional(),
  /** The prefix of every key. BullMQ clients pass it as `prefix`. Default `nuxt-queue`. */
  prefix: z
    .string()
    .regex(/^[^{}:]+$/, 'expected text without "{", "}" and ":"')
    .default('nuxt-queue'),
  /**
   * Milliseconds without a renewal of the lease after which another worker runs the job. Workers renew it after a third of this
   * time. Default 30,000.
   */
  lease: z.number().int().min(200).default(30_000),
  /**
   * How long `enqueue` waits while Redis is unavailable or refuses calls, in milliseconds. It then rejects with
   * `STORE_UNAVAILABLE`. `Infinity` waits without a limit. Default 10,000.
   */
  enqueueTimeout: z
    .union([
      z
        .number()
        .int()
        .min(1)
        .max(2 ** 31 - 1),
      z.literal(Infinity),
    ])
    .default(10_000),
  /**
   * The number of hash slots for event streams. It cannot change once the store has events. Default 16 on a Cluster, and 1 on a
   * single Redis, where all streams then share one order. Set it to 16 if you may move to a Cluster later.
   */
  shards: z.number().int().min(1).max(1024).optional(),
  /** Warn if the settings of Redis allow it to lose acknowledged data. Default true. */
  checkServer: z.boolean().default(true),
})

export type RedisPluginOptions = z.infer<typeof redisOptions>
