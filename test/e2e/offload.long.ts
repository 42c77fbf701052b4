// `npm test` has interrupted writes in one process. Here processes are killed around writes of the storage, and sweeps run while thousands of
// jobs change their states.
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { join } from 'pathe'
import { expect, it, onTestFinished } from 'vitest'
import { createKernel } from '../../index.ts'
import { sharedRedis } from '../services/redis.ts'
import { ROOT, startNode } from './processes.ts'

const PROCESS = fileURLToPath(new URL('../fixtures/offload-process.ts', import.meta.url))
/** The numbers of the writes around which processes die. Each process writes at least 20 values. */
const DEATHS = [1, 2, 5, 9, 14, 20]

it('loses no value and keeps none without its run, wherever a process is killed around a write', async () => {
  const redis = await sharedRedis()
  const folder = await mkdtemp(join(tmpdir(), 'nuxt-queue-payloads-'))
  onTestFinished(async () => {
    await rm(folder, { recursive: true, force: true })
    await redis.stop()
  })
  const prefix = crypto.randomUUID()
  const run = (dieAt: number, before: boolean) =>
    startNode([PROCESS, JSON.stringify({ url: redis.url, prefix, folder, dieAt, before })], ROOT).ended
  for (const dieAt of DEATHS) {
    for (const before of [true, false]) expect((await run(dieAt, before)).stdout).not.toContain('done')
  }
  expect((await run(0, false)).stdout).toContain('done')

  const kernel = await createKernel({
    preset: 'prod-redis',
    config: {
      redis: { url: redis.url, prefix, checkServer: false },
      registry: { dirs: [] },
      offload: { storage: folder, threshold: 1000, sweepInterval: 50, minAge: 0 },
    },
  })
  onTestFinished(async () => void (await kernel.close()))
  const jobs = await kernel.port('queue').getJobs({ queue: 'w', limit: 100 })
  const values = jobs.map(({ data, result }) => [data, result])
  expect(values).toHaveLength(20)
  const expected = Array.from({ length: 20 }, (_, n) => String(n).padEnd(5000, '.')).map((text) => [text, text])
  expect(new Set(values)).toEqual(new Set(expected))
  for (const { runId, data } of jobs) expect(await kernel.state(runId)).toEqual({ key: data })

  const hex = (id: string): string => Buffer.from(id).toString('hex')
  const known = jobs.map(({ runId }) => hex(runId)).toSorted()
  await expect.poll(async () => (await readdir(folder)).toSorted()).toEqual(known)
  const policy = { outcome: 'completed' as const, endedBefore: Date.now() + 60_000, keep: 0 }
  await kernel.port('queue').clean(policy)
  await kernel.port('events').expire(policy)
  await expect.poll(() => readdir(folder)).toEqual([])
})

it('keeps the values of jobs that are claimed while a sweep looks for them', async () => {
  const redis = await sharedRedis()
  const folder = await mkdtemp(join(tmpdir(), 'nuxt-queue-payloads-'))
  const kernel = await createKernel({
    preset: 'prod-redis',
    config: {
      redis: { url: redis.url, prefix: crypto.randomUUID(), checkServer: false },
      registry: { dirs: [] },
      offload: { storage: folder, threshold: 1000, sweepInterval: 1, minAge: 0 },
    },
  })
  onTestFinished(async () => {
    await kernel.close()
    await rm(folder, { recursive: true, force: true })
    await redis.stop()
  })
  const handler = async ({ data }: { data: unknown }) => {
    await setTimeout(100)
    return (data as string).length
  }
  await kernel.registerWorker({ id: 'w', config: { queue: 'w', concurrency: 50 }, handler })
  await kernel.port('queue').pause('w')
  const data = 'x'.repeat(2000)
  const jobs = await kernel.enqueueMany(Array.from({ length: 2000 }, () => ({ worker: 'w', data })))
  await kernel.port('queue').resume('w')
  await kernel.start()
  const results = await Promise.all(jobs.map(async (job) => kernel.result(job)))
  expect(new Set(results)).toEqual(new Set([2000]))
})
