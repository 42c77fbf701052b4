import { expect, it, vi } from 'vitest'
import { z } from 'zod'
import { createKernel, type Diagnosis } from '../../../index.ts'
import type { Host } from '../../../plugins/integrations/cli/backend.ts'
import { main } from '../../../plugins/integrations/cli/main.ts'
import { createTestKernel, type TestWorker } from '../../../testing/index.ts'

const DAY = 86_400_000
const flow = { name: 'sale' }

/** The version that the store knows. */
const old: Record<string, TestWorker> = {
  mail: { config: { input: z.object({ email: z.string() }) }, handler: () => 1 },
  gone: () => 1,
  order: {
    config: { state: z.object({ city: z.string() }) },
    handler: async (_job, ctx) => {
      await ctx.state.set('city', 'Oslo')
      await ctx.step.waitForEvent('paid', { event: 'paid' })
    },
  },
  sell: {
    config: { flow: { ...flow, role: 'entry' } },
    handler: async (_job, ctx) => {
      await ctx.flow.emit('sold')
      await ctx.flow.emit('packed')
    },
  },
  bill: {
    config: { flow: { ...flow, role: 'step', subscribes: 'sold' } },
    handler: (_job, ctx) => ctx.step.sleep('a day', DAY),
  },
  ship: {
    config: { flow: { ...flow, role: 'step', subscribes: 'packed' } },
    handler: (_job, ctx) => ctx.step.sleep('a day', DAY),
  },
  other: { config: { flow: { name: 'other', role: 'entry' } }, handler: (_job, ctx) => ctx.step.sleep('a day', DAY) },
  fails: {
    config: { deadLetter: 'letters' },
    handler: () => {
      throw new Error('no')
    },
  },
}

/** Starts work of the old version that is open. */
async function openWork() {
  const test = await createTestKernel({ workers: old })
  const { kernel } = test
  await kernel.enqueue('mail', { email: 'ada@example.com' }, { delay: DAY })
  for (let job = 1; job <= 4; job++) await kernel.enqueue('gone', undefined, { id: `gone-${job}`, delay: DAY })
  await kernel.enqueue('order')
  await kernel.flow('sale').start(undefined, { id: 'sale-1' })
  await kernel.flow('other').start(undefined, { id: 'other-1' })
  await kernel.enqueue('fails')
  await test.drain()
  return test
}

const problems = (found: readonly Diagnosis[]) =>
  found.filter(({ level }) => level === 'problem').map(({ check, message }) => `${check}: ${message}`)

it('finds nothing if the same workers carry on, and ignores dead letters', async () => {
  await using test = await openWork()
  expect(await test.kernel.checkDeploy()).toEqual([
    { check: 'deploy', level: 'ok', message: 'These workers can carry on 10 open jobs and 3 open runs.' },
  ])
})

it('finds jobs without a worker, refused data and state, and missing steps and flows', async () => {
  await using test = await openWork()
  const { kernel } = test
  for (const id of ['gone', 'ship', 'other']) await kernel.unregisterWorker(id)
  const replace = { replace: true }
  const to = z.object({ to: z.string() })
  await kernel.registerWorker({ id: 'mail', config: { input: to }, handler: () => 1 }, replace)
  const city = z.object({ city: z.object({ name: z.string() }) })
  await kernel.registerWorker({ id: 'order', config: { state: city }, handler: () => {} }, replace)
  const found = problems(await kernel.checkDeploy())
  expect(found).toEqual(
    expect.arrayContaining([
      expect.stringMatching(
        /^jobs\.worker: No worker here runs "gone" of queue "default"\. Jobs: 4 \((?:gone-\d, ){3}…\)\.$/,
      ),
      expect.stringMatching(/^jobs\.worker: .*"ship".* Jobs: 1 \(sale-1\.ship/),
      expect.stringMatching(/^jobs\.worker: .*"other".* Jobs: 1 \(other-1\.other\)\.$/),
      expect.stringMatching(
        /^jobs\.input: .*"mail" refuses stored data \(to: .*expected string.*\)\. Jobs: 1 \(id-\d+\)\.$/,
      ),
      expect.stringMatching(
        /^runs\.state: .*"order" refuses the stored state "city" .*expected object.* Runs: 1 \(id-\d+\)\.$/,
      ),
      'flows.steps: Flow "sale" has no step "ship" here, which open runs need. Runs: 1 (sale-1).',
      expect.stringMatching(
        /^flows\.graph: Flow "other" has open runs and cannot be used: No worker is the entry.* Runs: 1/,
      ),
    ]),
  )
  expect(found).toHaveLength(7)
  expect(JSON.stringify(found)).not.toContain('ada@example.com')
})

it('says how much it has not read, and reads all pages', async () => {
  await using test = await createTestKernel({ workers: { mail: () => 1 } })
  const jobs = Array.from({ length: 600 }, () => ({ worker: 'mail', options: { delay: DAY } }))
  await test.kernel.enqueueMany(jobs)
  expect(await test.kernel.checkDeploy()).toMatchObject([{ message: expect.stringContaining('600 open jobs') }])
  expect(await test.kernel.checkDeploy({ jobs: 100 })).toMatchObject([
    { check: 'jobs', level: 'warning', message: 'Only the newest 500 jobs were checked.' },
    { level: 'ok' },
  ])
})

it('is a command that exits with 1 for problems, and uses the code of the folder', async () => {
  const host: Host = {
    async createKernel({ reporter }) {
      const kernel = await createKernel({ preset: 'dev', config: { registry: { dirs: [] } }, reporter })
      const capabilities = { ...kernel.port('queue').capabilities, durable: true }
      Object.assign(kernel.port('queue'), { capabilities })
      if (enqueues) await kernel.enqueue({ queue: 'mail', name: 'mail' })
      return kernel
    },
    loadQueueConfig: async () => ({}),
    memory: () => Promise.reject(new Error('not needed')),
  }
  let enqueues = false
  async function run(...args: string[]): Promise<{ code: number; text: string }> {
    const write = vi.spyOn(process.stdout, 'write').mockReturnValue(true)
    try {
      const code = await main(['deploy-check', '--cwd', import.meta.dirname, ...args], host, '0')
      return { code, text: write.mock.calls.map(([chunk]) => String(chunk)).join('') }
    } finally {
      write.mockRestore()
    }
  }
  expect(await run()).toMatchObject({ code: 0, text: expect.stringContaining('0 problems, 0 warnings.') })
  enqueues = true
  const { code, text } = await run('--json')
  expect(code).toBe(1)
  expect(JSON.parse(text)).toMatchObject([{ check: 'jobs.worker', level: 'problem' }])
})
