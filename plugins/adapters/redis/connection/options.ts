import type { ClusterNode, ClusterOptions, RedisOptions } from 'ioredis'
import { z } from 'zod'

const record = <T extends object>() =>
  z.custom<T>((value) => typeof value === 'object' && value !== null && !Array.isArray(value), 'expected an object')

export const redisOptions = z.strictObject({
  /** `redis://` or `rediss://`. Default: the variable `REDIS_URL`, read at start. */
  url: z.string().min(1).optional(),
  /** What `ioredis` takes, Sentinel and TLS included; wins over the URL. */
  options: record<RedisOptions>().optional(),
  /** Redis Cluster, in place of a URL. Any of its nodes; the others are found. */
  cluster: z
    .strictObject({
      nodes: z.array(z.custom<ClusterNode>()).min(1),
      options: record<ClusterOptions>().optional(),
    })
    .optional(),
  /** What every key starts with; BullMQ clients pass it as `prefix`. Default `nuxt-queue`. */
  prefix: z
    .string()
    .regex(/^[^{}:]+$/, 'expected text without "{", "}" and ":"')
    .default('nuxt-queue'),
  /**
   * Milliseconds after which a job whose worker gives no sign of life goes to another; workers give
   * one every third of it. Default 30,000.
   */
  lease: z.number().int().min(200).default(30_000),
  /**
   * How many milliseconds `enqueue` waits for a Redis that is away or refuses calls; then it rejects with
   * `STORE_UNAVAILABLE`. `Infinity` waits for as long as it takes. Default 10,000.
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
   * How many hash slots event streams are spread over. Fixed once the store holds events. Default 16 on
   * a Cluster; 1 on one Redis, where all streams then have one order. Set it to move to a Cluster later.
   */
  shards: z.number().int().min(1).max(1024).optional(),
  /** Whether to warn when Redis is set so that it may drop what it acknowledged. Default true. */
  checkServer: z.boolean().default(true),
})

export type RedisPluginOptions = z.infer<typeof redisOptions>
