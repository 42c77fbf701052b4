import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'pathe'
import { createKernel } from 'nuxt-queue'
import { Client } from 'pg'
import { afterAll, expect, test } from 'vitest'
import { sharedPostgres } from '../services/postgres.ts'
import { sharedRedis } from '../services/redis.ts'
import '../services/compiled-pglite.ts'
import { cli, cliJson } from './cli-in-process.ts'

const root = await mkdtemp(join(tmpdir(), 'nuxt-queue-backup-'))
const [redis, postgres] = await Promise.all([sharedRedis(), sharedPostgres()])
afterAll(async () => {
  await rm(root, { recursive: true, force: true })
  await dropSchema()
  await Promise.all([redis.stop(), postgres.stop()])
})

const schema = `nq_move_${process.pid}`

async function dropSchema(): Promise<void> {
  const client = new Client({ connectionString: postgres.url })
  await client.connect()
  await client.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`)
  await client.end()
}

/** A project whose jobs are in a folder or in Redis. */
async function project(name: string, config: object): Promise<string> {
  const cwd = join(root, name)
  await mkdir(cwd)
  await writeFile(join(cwd, 'nuxt-queue.config.ts'), `export default ${JSON.stringify(config)}`)
  return cwd
}

test('the command line moves a store of files to Redis, and to the embedded database and back, and refuses stores in use and stores with jobs', async () => {
  const stored = { adapter: 'file', file: { path: join(root, 'data') } }
  const inRedis = { adapter: 'redis', redis: { url: redis.url, prefix: crypto.randomUUID(), checkServer: false } }
  const [from, to] = [await project('from', stored), await project('to', inRedis)]
  const source = await createKernel({ config: { ...stored, registry: { dirs: [] } } })
  await source.registerWorker({ id: 'greet', handler: () => 'hello' })
  const done = await source.enqueue('greet', 1)
  await source.start()
  await source.result(done)
  await source.close()

  expect(await cli(['export', '--all', 'all.jsonl.gz'], from)).toMatchObject({ code: 0, stderr: '' })
  expect(await cliJson(['import', '../from/all.jsonl.gz'], to)).toMatchObject({ jobs: 1, kept: { jobs: 0 } })
  expect(await cliJson(['runs'], to)).toMatchObject([{ runId: done.runId, status: 'completed' }])
  const again = await cli(['import', '../from/all.jsonl.gz'], to)
  expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining('add --merge') })
  expect(await cliJson(['import', '../from/all.jsonl.gz', '--merge'], to)).toMatchObject({ jobs: 0, kept: { jobs: 1 } })

  const inFolder = `embedded:${join(root, 'database')}`
  const move = (from: string, to: string) => ['migrate', '--from', from, '--to', to]
  expect(await cliJson(move(`file:${join(root, 'data')}`, inFolder), to)).toMatchObject({ moved: true, jobs: 1 })
  expect(await cliJson(move(inFolder, `file:${join(root, 'again')}`), to)).toMatchObject({ moved: true, jobs: 1 })

  const running = await createKernel({ config: { ...inRedis, registry: { dirs: [] } } })
  await running.registerWorker({ id: 'greet', handler: () => 'hello' })
  await running.start()
  try {
    await expect.poll(() => running.instances()).toHaveLength(1)
    const busy = await cliJson(['export', '--all', 'busy.jsonl'], to)
    expect(busy).toMatchObject({
      error: { code: 'STORE_IN_USE', message: expect.stringContaining(String(process.pid)) },
    })
  } finally {
    await running.close()
  }
  expect(await cli(['export', '--all', 'idle.jsonl'], to)).toMatchObject({ code: 0 })
})

test('the command line moves a store to PostgreSQL and back, and processes use only the current one', async () => {
  const prefixes = [crypto.randomUUID(), crypto.randomUUID()]
  const configOf = (prefix: string) => ({
    adapter: 'redis',
    redis: { url: redis.url, prefix, checkServer: false },
    registry: { dirs: [] },
  })
  const from = await project('first', { ...configOf(prefixes[0]!), postgres: { schema } })
  const back = await project('second', { ...configOf(prefixes[1]!), postgres: { schema } })
  const source = await createKernel({ config: configOf(prefixes[0]!) })
  await source.registerWorker({ id: 'greet', handler: ({ data }) => data })
  const job = await source.enqueue('greet', { text: 'hello' }, { tags: ['a'] })
  const move = ['migrate', '--from', redis.url, '--to', postgres.url]
  await source.start()
  await source.result(job)
  await expect.poll(() => source.instances()).toHaveLength(1)
  expect(await cliJson(move, from)).toMatchObject({ error: { code: 'STORE_IN_USE' } })
  await source.close()

  expect(await cliJson(move, from)).toMatchObject({ moved: true, jobs: 1 })
  expect(await cli(move, from)).toMatchObject({ code: 0, stdout: expect.stringContaining('refuse to start') })
  const refused = createKernel({ config: configOf(prefixes[0]!) })
  await expect(refused).rejects.toMatchObject({
    code: 'STORE_MOVED',
    message: expect.stringContaining(new URL(postgres.url).host),
  })
  expect(await cliJson([...move, '--abort'], from)).toMatchObject({ error: { code: 'STORE_MOVED' } })

  const home = ['migrate', '--from', postgres.url, '--to', redis.url]
  expect(await cliJson(home, back)).toMatchObject({ moved: true, jobs: 1 })
  const last = await createKernel({ config: configOf(prefixes[1]!) })
  try {
    expect(await last.port('queue').getJob('default', job.id)).toMatchObject({ result: { text: 'hello' }, tags: ['a'] })
    expect(await last.port('events').runs.get(job.runId)).toMatchObject({ status: 'completed' })
  } finally {
    await last.close()
  }
  expect(await cliJson(['migrate', '--from', 'mysql://x', '--to', redis.url], back)).toMatchObject({
    error: { code: 'OPTION_INVALID' },
  })
})
