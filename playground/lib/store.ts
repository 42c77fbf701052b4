import { join } from 'pathe'
import type { QueueConfig } from 'nuxt-queue'
import { startPostgres } from '../../test/services/postgres.ts'
import { startRedis } from '../../test/services/redis.ts'
import type { Service } from '../../test/services/service.ts'
import { PLAYGROUND } from './paths.ts'

interface Store extends AsyncDisposable {
  /** The configuration with which the preset finds the store. */
  config: QueueConfig
}

/** Returns the store of a preset: the server in `REDIS_URL` or `DATABASE_URL`, or a server that is started for this run. */
export async function startStore(preset: string, print: (line: string) => void = () => {}): Promise<Store> {
  const dir = join(PLAYGROUND, '.nuxt-queue', preset)
  if (preset === 'dev-file') return local({ file: { path: dir } })
  if (preset === 'embedded') return local({ embedded: { path: dir } })
  if (preset === 'prod-redis' && !process.env.REDIS_URL) {
    print('Starting a Redis for this run …')
    return served(await startRedis({ appendfsync: 'always' }), 'redis')
  }
  if (preset === 'prod-postgres' && !process.env.DATABASE_URL) {
    print('Starting a PostgreSQL for this run …')
    return served(await startPostgres(), 'postgres')
  }
  return local({})
}

function local(config: QueueConfig): Store {
  return { config, [Symbol.asyncDispose]: async () => {} }
}

function served({ url, stop }: Service, section: string): Store {
  return { config: { [section]: { url } }, [Symbol.asyncDispose]: stop }
}
