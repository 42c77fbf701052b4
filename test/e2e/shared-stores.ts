import type { KernelConfig, QueueConfig } from 'nuxt-queue'
import { onTestFinished } from 'vitest'
import { sharedPostgres } from '../services/postgres.ts'
import { sharedRedis } from '../services/redis.ts'

/** The presets whose store many processes share, each with a function that returns the configuration of an empty store. */
export const SHARED_STORES: [NonNullable<QueueConfig['preset']>, () => Promise<KernelConfig>][] = [
  [
    'prod-redis',
    async () => {
      const server = await sharedRedis()
      onTestFinished(() => server.stop())
      return { redis: { url: server.url, prefix: crypto.randomUUID(), checkServer: false } }
    },
  ],
  [
    'prod-postgres',
    async () => {
      const server = await sharedPostgres()
      onTestFinished(() => server.stop())
      return { postgres: { url: server.url, schema: `shared_${crypto.randomUUID().slice(0, 8)}` } }
    },
  ],
]
