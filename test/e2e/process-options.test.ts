import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createKernel, type Kernel, type WorkerConfig } from 'nuxt-queue/kernel'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import dev from '../../presets/dev.ts'
import { childrenOf, gone } from './process-tree.ts'

const WORKER = `
export default async (job, ctx) => {
  const { SECRET, AWS_REGION, GIVEN, PATH, NUXT_QUEUE_FD } = process.env
  if (job.data === 'environment') return { SECRET, AWS_REGION, GIVEN, path: PATH !== undefined, NUXT_QUEUE_FD }
  if (job.data === 'enqueue') return ctx.kernel.enqueue('child', 'pid')
  if (job.data === 'registry') return ctx.kernel.registry
  if (job.data === 'defer') return ctx.attempt === 1 && ctx.claim === 1 ? ctx.defer({ delay: 20 }) : ctx.claim
  if (job.data === 'step') {
    const first = await ctx.step.run('first', () => ctx.attempt)
    if (ctx.attempt === 1) throw new Error('once')
    return [first, await ctx.step.run('second', () => ctx.attempt)]
  }
  if (job.data === 'absent') return [await ctx.state.get('none'), await ctx.state.update('n', (n = 41) => n + 1)]
  return job.data === 'cwd' ? process.cwd() : process.pid
}
`

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nuxt-queue-'))
  // The output of a bundler: plain JavaScript without dependencies.
  await writeFile(join(folder, 'worker.mjs'), WORKER)
  await writeFile(join(folder, 'slow.mjs'), 'setInterval(() => {}, 1000); await new Promise(() => {})')
})
afterAll(() => rm(folder, { recursive: true }))

async function open(config: WorkerConfig = {}, file = 'worker.mjs'): Promise<Kernel> {
  const kernel = await createKernel({ preset: dev, config: { registry: { dirs: [] } } })
  onTestFinished(async () => void (await kernel.close()))
  const absPath = join(folder, file)
  await kernel.registerWorker({ id: 'child', absPath, config: { runtime: 'node-isolated', ...config } })
  await kernel.start()
  return kernel
}

const run = async (kernel: Kernel, data: string, options?: { attempts: number }): Promise<unknown> =>
  kernel.result(await kernel.enqueue('child', data, options))

test('a process inherits basic variables, configured variables and named variables, and no secrets', async () => {
  Object.assign(process.env, { SECRET: 'x', AWS_REGION: 'eu' })
  onTestFinished(() => void (delete process.env.SECRET, delete process.env.AWS_REGION))
  const kernel = await open({ process: { env: { GIVEN: '1' }, inheritEnv: ['AWS_*'] } })
  expect(await run(kernel, 'environment')).toEqual({ AWS_REGION: 'eu', GIVEN: '1', path: true })
})

test('a process runs in the configured folder', async () => {
  expect(await run(await open({ process: { cwd: folder } }), 'cwd')).toBe(folder)
})

test('an unneeded process ends after a while', async () => {
  const kernel = await open({ process: { idleTimeout: 100, reuse: 10 } })
  await gone((await run(kernel, 'pid')) as number)
})

test('a process that does not get ready in time fails with a hint', async () => {
  const kernel = await open({ process: { startTimeout: 200 } }, 'slow.mjs')
  await expect(run(kernel, 'pid')).rejects.toMatchObject({
    code: 'RUNTIME_START_FAILED',
    message: expect.stringMatching(/not ready within 200 ms\. Raise startTimeout/) as string,
  })
})

test.each([
  [{ process: { reuse: 0 } }, /Option "process\.reuse" of worker "child"/],
  [{ process: JSON.parse('{ "resue": 2 }') as object }, /resue/],
])('a wrong option of a process keeps its worker from being registered: %o', async (config, message) => {
  await expect(open(config)).rejects.toThrow(message)
})

test('a wrong option of an isolated worker keeps it from being registered', async () => {
  await expect(open({ isolated: JSON.parse('{ "resourceLimit": {} }') as object })).rejects.toMatchObject({
    code: 'OPTION_INVALID',
    message: expect.stringContaining('resourceLimit') as string,
  })
})

test('a kernel that closes while a process is being started leaves none behind', async () => {
  const before = new Set(await childrenOf(process.pid))
  const mine = async (): Promise<number[]> => (await childrenOf(process.pid)).filter((pid) => !before.has(pid))
  const kernel = await open({}, 'slow.mjs')
  const job = await kernel.enqueue('child', 'pid')
  await expect.poll(mine).not.toEqual([])
  await kernel.close({ timeout: 0 })
  expect(await kernel.port('queue').getJob(job.queue, job.id)).toMatchObject({ state: 'waiting' })
  await expect.poll(mine).toEqual([])
})

test('a worker that is a function cannot move to a process', async () => {
  const kernel = await createKernel({ preset: dev, config: { registry: { dirs: [] } } })
  onTestFinished(async () => void (await kernel.close()))
  await kernel.registerWorker({ id: 'child', config: { runtime: 'node-isolated' }, handler: () => 1 })
  await kernel.start()
  await expect(run(kernel, 'x')).rejects.toThrow(/has no file, but runtime "node-isolated" needs one/)
})

test('an isolated handler can enqueue, defer and record steps, and distinguishes undefined from null, without the rest of the kernel', async () => {
  const kernel = await open()
  const receipt = (await run(kernel, 'enqueue')) as { id: string; queue: string }
  expect(receipt).toMatchObject({ queue: 'default', deduplicated: false })
  expect(await run(kernel, 'defer')).toBe(2)
  expect(await run(kernel, 'step', { attempts: 2 })).toEqual([1, 2])
  expect(await run(kernel, 'absent')).toEqual([undefined, 42])
  await expect(run(kernel, 'registry')).rejects.toMatchObject({
    code: 'CONTEXT_MISSING',
    message: expect.stringContaining('"ctx.kernel.registry" is not available') as string,
  })
})
