// `npm test` looks into the stores through their ports. Here the files of Redis and PostgreSQL are searched.
import { readdirSync, readFileSync } from 'node:fs'
import { Redis } from 'ioredis'
import { Client } from 'pg'
import { join } from 'pathe'
import { expect, it, onTestFinished } from 'vitest'
import { createKernel, type Kernel, type KernelConfig, type RunContext } from '../../index.ts'
import { startPostgres } from '../services/postgres.ts'
import { startRedis } from '../services/redis.ts'

/** How many jobs run. Each has a secret in its data, result, state, log and error. */
const JOBS = 200
const KEYS = { old: 'ab'.repeat(32), new: 'cd'.repeat(32) }

const secret = (n: number, place: string): string => `topsecret-${n}-${place}-topsecret`

/** Every secret contains this text, so that one search finds all of them, even truncated ones. */
const MARK = 'topsecret'

async function work(open: (config: KernelConfig) => Promise<Kernel>): Promise<void> {
  async function process(config: KernelConfig): Promise<Kernel> {
    const kernel = await open({ registry: { dirs: [] }, ...config })
    await kernel.registerWorker({
      id: 'w',
      config: { queue: 'w', concurrency: 20 },
      async handler(job, ctx: RunContext) {
        const { n } = job.data as { n: number }
        await ctx.state.set('key', secret(n, 'state'))
        await ctx.logger.info(secret(n, 'log'))
        return secret(n, 'result')
      },
    })
    await kernel.registerWorker({
      id: 'f',
      config: { queue: 'f', concurrency: 20 },
      handler: (job) => Promise.reject(new Error(secret((job.data as { n: number }).n, 'error'))),
    })
    return kernel
  }
  const first = await process({ encryption: { keys: { old: KEYS.old } } })
  const items = (worker: string) =>
    Array.from({ length: JOBS }, (_, n) => ({ worker, data: { n, text: secret(n, 'data') } }))
  const jobs = [...(await first.enqueueMany(items('w'))), ...(await first.enqueueMany(items('f')))]
  await first.close()
  // The jobs wait while the keys rotate.
  const second = await process({ encryption: { keys: KEYS, current: 'new' } })
  await second.start()
  const settled = await Promise.allSettled(jobs.map((job) => second.result(job)))
  const ends = settled.map((end) => (end.status === 'fulfilled' ? end.value : (end.reason as Error).message))
  const numbers = Array.from({ length: JOBS }, (_, n) => n)
  expect(ends).toEqual([...numbers.map((n) => secret(n, 'result')), ...numbers.map((n) => secret(n, 'error'))])
  const records = await second.port('queue').getJobs({ queue: 'w', limit: 1000 })
  expect(records.map(({ data }) => (data as { text: string }).text)).toContain(secret(7, 'data'))
  expect(await second.state(jobs[7]!.runId)).toEqual({ key: secret(7, 'state') })
  await second.close()
}

function filesWith(folder: string, text: string): string[] {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  const paths = files.map((entry) => join(entry.parentPath, entry.name))
  return paths.filter((path) => readFileSync(path).includes(text))
}

it('leaves no secret in the files of Redis', async () => {
  const server = await startRedis({ appendfsync: 'always' })
  onTestFinished(() => server.stop())
  const redis = { url: server.url, prefix: 'nq', checkServer: false }
  await work((config) => createKernel({ preset: 'prod-redis', config: { ...config, redis } }))
  const client = new Redis(server.url)
  await client.set('control', 'this is in the files')
  const [, folder] = (await client.config('GET', 'dir')) as [string, string]
  await client.save()
  await client.quit()
  expect(filesWith(folder, 'this is in the files').length).toBeGreaterThan(0)
  expect(filesWith(folder, MARK)).toEqual([])
})

it('leaves no secret in the files of PostgreSQL', async () => {
  const server = await startPostgres()
  onTestFinished(() => server.stop())
  await work((config) =>
    createKernel({ preset: 'prod-postgres', config: { ...config, postgres: { url: server.url } } }),
  )
  const client = new Client(server.url)
  await client.connect()
  await client.query(`CREATE TABLE control AS SELECT 'this is in the files' AS text`)
  await client.query('CHECKPOINT')
  const { rows } = await client.query<{ data_directory: string }>('SHOW data_directory')
  await client.end()
  expect(filesWith(rows[0]!.data_directory, 'this is in the files').length).toBeGreaterThan(0)
  expect(filesWith(rows[0]!.data_directory, MARK)).toEqual([])
})
