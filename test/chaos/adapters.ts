import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import type { KernelConfig } from 'nuxt-queue'
import { join } from 'pathe'
import { startRedis } from '../services/redis.ts'
import { startPostgres } from '../services/postgres.ts'
import type { Service } from '../services/service.ts'

/** What a chaos run needs to know of an adapter. */
export interface ChaosAdapter {
  preset: string
  config: KernelConfig
  /** Whether several processes share the store. Otherwise, one process produces and works. */
  shared: boolean
  /** The store, if it is a separate process. */
  service?: Service
  /** Cuts every connection to the store. */
  cut?(): Promise<void>
  dispose(): Promise<void>
}

/** How long a dead worker keeps its jobs, in milliseconds. */
export const LEASE = 2000

const folder = (): string => mkdtempSync(join(tmpdir(), 'nuxt-queue-chaos-'))

async function inFolder(preset: string, section: string): Promise<ChaosAdapter> {
  const dir = folder()
  const config = { [section]: { path: dir, lockTimeout: 5000 } }
  return { preset, config, shared: false, dispose: async () => rmSync(dir, { recursive: true, force: true }) }
}

export const adapters: Readonly<Record<string, () => Promise<ChaosAdapter>>> = {
  file: () => inFolder('dev-file', 'file'),
  embedded: () => inFolder('embedded', 'embedded'),
  async redis() {
    const service = await startRedis({ appendfsync: 'always' })
    const { Redis } = await import('ioredis')
    return {
      preset: 'prod-redis',
      config: { redis: { url: service.url, lease: LEASE } },
      shared: true,
      service,
      async cut() {
        const redis = new Redis(service.url, { lazyConnect: true, maxRetriesPerRequest: 0 })
        redis.on('error', () => {})
        await redis.call('CLIENT', 'KILL', 'TYPE', 'normal').catch(() => {})
        await redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub').catch(() => {})
        redis.disconnect()
      },
      dispose: () => service.stop(),
    }
  },
  async postgres() {
    const service = await startPostgres()
    const { Client } = await import('pg')
    return {
      preset: 'prod-postgres',
      config: { postgres: { url: service.url, lease: LEASE } },
      shared: true,
      service,
      async cut() {
        const client = new Client({ connectionString: service.url })
        client.on('error', () => {})
        try {
          await client.connect()
          await client.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()')
        } catch {
          // The store is down at the moment, and so are its connections.
        } finally {
          await client.end().catch(() => {})
        }
      },
      dispose: () => service.stop(),
    }
  },
}
