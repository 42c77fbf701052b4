import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'pathe'
import { createKernel } from 'nuxt-queue'
import { afterAll, expect, test } from 'vitest'
import { sharedRedis } from '../services/redis.ts'
import { cli, cliJson } from './cli-in-process.ts'

const root = await mkdtemp(join(tmpdir(), 'nuxt-queue-backup-'))
const redis = await sharedRedis()
afterAll(async () => {
  await rm(root, { recursive: true, force: true })
  await redis.stop()
})

/** A project whose jobs are in a folder or in Redis. */
async function project(name: string, config: object): Promise<string> {
  const cwd = join(root, name)
  await mkdir(cwd)
  await writeFile(join(cwd, 'nuxt-queue.config.ts'), `export default ${JSON.stringify(config)}`)
  return cwd
}

test('the command line moves a store of files to Redis, and refuses stores in use and stores with jobs', async () => {
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
