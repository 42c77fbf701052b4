import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Redis } from 'ioredis'
import { Client } from 'pg'
import { afterEach, describe, expect, it } from 'vitest'
import { startPostgres } from '../../services/postgres.ts'
import { startRedis } from '../../services/redis.ts'
import type { Service } from '../../services/service.ts'

const started: Service[] = []
afterEach(async () => {
  await Promise.all(started.splice(0).map((service) => service.stop()))
})

async function ask(url: string, sql: string): Promise<unknown[]> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query(sql)).rows as unknown[]
  } finally {
    await client.end()
  }
}

describe('services', () => {
  it('keeps everything that Redis has acknowledged after a kill', async () => {
    const service = await startRedis({ appendfsync: 'always' })
    started.push(service)
    const redis = new Redis(service.url, { retryStrategy: () => 20 })
    redis.on('error', () => {})
    await redis.set('a', '1')
    await service.kill()
    await service.restart()
    expect(await redis.get('a')).toBe('1')
    redis.disconnect()
  })

  it('keeps everything that PostgreSQL has committed after a kill', async () => {
    const service = await startPostgres()
    started.push(service)
    await ask(service.url, 'CREATE TABLE t AS SELECT 1 AS a')
    await service.kill()
    await service.restart()
    expect(await ask(service.url, 'SELECT a FROM t')).toEqual([{ a: 1 }])
  })

  it.runIf(process.platform === 'linux')('leaves no service behind when its starter is killed (Linux)', async () => {
    const script = `import { startRedis } from ${JSON.stringify(new URL('../../services/redis.ts', import.meta.url).href)}
      const { url } = await startRedis()
      process.stdout.write(url)
      setInterval(() => {}, 1000)`
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [url] = (await once(child.stdout, 'data')) as [Buffer]
    const redis = new Redis(String(url), { retryStrategy: () => null })
    redis.on('error', () => {})
    await redis.ping()
    const gone = once(redis, 'end')
    child.kill('SIGKILL')
    await gone
    expect(redis.status).toBe('end')
  })
})
