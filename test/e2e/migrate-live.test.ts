import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'pathe'
import { expect, test } from 'vitest'
import { sharedPostgres } from '../services/postgres.ts'
import { sharedRedis } from '../services/redis.ts'
import { cliJson } from './cli-in-process.ts'
import { dropSchema, moveApplication, type StoreConfig } from './live-application.ts'

test('an application moves from Redis to PostgreSQL while it enqueues and runs jobs', async () => {
  const [redis, postgres] = await Promise.all([sharedRedis(), sharedPostgres()])
  const cwd = await mkdtemp(join(tmpdir(), 'nuxt-queue-live-'))
  const schema = `nq_live_${process.pid}`
  const from: StoreConfig = {
    adapter: 'redis',
    redis: { url: redis.url, prefix: crypto.randomUUID(), checkServer: false },
  }
  const to: StoreConfig = { adapter: 'postgres', postgres: { url: postgres.url, schema } }
  try {
    await moveApplication({ cwd, from, to, urls: { from: redis.url, to: postgres.url }, rate: 20 })
    const again = ['migrate', '--from', redis.url, '--to', postgres.url]
    expect(await cliJson([...again, '--abort'], cwd)).toMatchObject({ error: { code: 'STORE_MOVED' } })
    expect(await cliJson([...again, '--live'], cwd)).toEqual({ moved: true })
    expect(await cliJson([...again, '--drain', '1'], cwd)).toMatchObject({ error: { code: 'OPTION_INVALID' } })
  } finally {
    await dropSchema(postgres.url, schema)
    await Promise.all([rm(cwd, { recursive: true, force: true }), redis.stop(), postgres.stop()])
  }
})
