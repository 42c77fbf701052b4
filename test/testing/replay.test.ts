import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { createTestKernel, expectReplay, type ReplayError, type TestKernel, type TestWorker } from 'nuxt-queue/testing'
import type { RunContext } from '../../kernel/index.ts'

const folders: string[] = []
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true })
})

/** Runs a job or a flow, writes its history, and returns the pattern of the file. */
async function record(
  workers: Record<string, TestWorker>,
  start: (test: TestKernel) => Promise<{ runId: string }>,
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'replay-'))
  folders.push(folder)
  await using test = await createTestKernel({ workers })
  const { runId } = await start(test)
  await test.advance('1d')
  await test.drain()
  await test.kernel.exportRun(runId, join(folder, 'run.jsonl'))
  return `${folder}/*.jsonl`
}

const enqueue = (data?: unknown) => (test: TestKernel) => test.kernel.enqueue('order', data, { attempts: 3 })
const differencesOf = (promise: Promise<unknown>) =>
  promise.then(
    () => [],
    (error: ReplayError) => error.differences.map(({ seq, step, expected, got }) => ({ seq, step, expected, got })),
  )

let charged = 0
const order = async (_job: unknown, ctx: RunContext): Promise<string> => {
  const charge = await ctx.step.run('charge', () => `charge ${++charged}`)
  await ctx.step.sleep('an hour', 3_600_000)
  await ctx.step.run('receipt', () => 'sent')
  return charge
}

it('takes the results of sub-steps and waits from the log, without running them', async () => {
  charged = 0
  const files = await record({ order }, enqueue())
  expect(await expectReplay({ order }, files)).toEqual({ runs: 1, jobs: 1 })
  expect(charged).toBe(1)
})

it('reports where the handler differs from the log: a renamed, an added and a removed sub-step', async () => {
  const files = await record({ order }, enqueue())
  const handlers: [TestWorker, object][] = [
    [(_job, ctx) => ctx.step.run('pay', () => 'charge'), { expected: 'sub-step "charge"', got: 'sub-step "pay"' }],
    [
      async (job, ctx) => {
        await order(job, ctx)
        await ctx.step.run('survey', () => {})
      },
      { expected: expect.stringMatching(/^the end with the result "charge/), got: 'sub-step "survey"' },
    ],
    [
      async (_job, ctx) => {
        const charge = await ctx.step.run('charge', () => '')
        await ctx.step.sleep('an hour', 3_600_000)
        return charge
      },
      { expected: 'sub-step "receipt"', got: expect.stringMatching(/^the end/) },
    ],
    [
      async (_job, ctx) => {
        await ctx.step.run('charge', () => '')
        await ctx.step.sleep('two hours', 7_200_000)
      },
      { expected: 'sub-step "an hour"', got: 'wait "two hours"' },
    ],
    [() => 'other', { expected: 'sub-step "charge"', got: 'the end with the result "other"' }],
    [
      () => {
        throw new Error('no paper')
      },
      { expected: 'sub-step "charge"', got: 'the failure "no paper"' },
    ],
  ]
  for (const [handler, difference] of handlers) {
    expect(await differencesOf(expectReplay({ order: handler }, files))).toEqual([
      { step: 'order', seq: expect.any(Number), ...difference },
    ])
  }
  const error = await expectReplay({ order: () => 'other' }, files).catch((thrown: ReplayError) => thrown)
  expect((error as ReplayError).message).toMatch(
    /^1 of 1 jobs of 1 recorded runs do not match today's code:\n.*run\.jsonl, seq 2, "order" \(id-\d+\): expected sub-step "charge", got the end/,
  )
})

it('passes data to plain jobs, and ignores results if asked', async () => {
  const double: TestWorker = (job) => Number(job.data) * 2
  const files = await record({ order: double }, enqueue(21))
  await expectReplay({ order: double }, files, { data: () => 21 })
  expect(await differencesOf(expectReplay({ order: double }, files, { data: () => 4 }))).toMatchObject([
    { expected: 'the end with the result 42', got: 'the end with the result 8' },
  ])
  await expectReplay({ order: double }, files, { data: () => 4, compareResults: false })
})

it('replays failures: of a sub-step that was retried, and of the job', async () => {
  let calls = 0
  const flaky: TestWorker = (_job, ctx) =>
    ctx.step.run('charge', () => {
      if (++calls === 1) throw new Error('declined')
      return 'paid'
    })
  await expectReplay({ order: flaky }, await record({ order: flaky }, enqueue()))
  const failing: TestWorker = (_job, ctx) =>
    ctx.step.run('charge', () => {
      throw new Error('declined')
    })
  const files = await record({ order: failing }, enqueue())
  await expectReplay({ order: failing }, files)
  expect(
    await differencesOf(
      expectReplay(
        {
          order: (job, ctx) =>
            Promise.resolve(failing).then(async (run) => {
              await (run as (...args: unknown[]) => Promise<unknown>)(job, ctx).catch(() => {})
              return 'ignored'
            }),
        },
        files,
      ),
    ),
  ).toMatchObject([{ expected: 'the failure "declined"', got: 'the end with the result "ignored"' }])
})

const flow = { name: 'sale' }
const sale = (event: string, tax = 0.2): Record<string, TestWorker> => ({
  start: {
    config: { flow: { ...flow, role: 'entry' } },
    handler: async (job, ctx) => {
      await ctx.state.set('price', job.data)
      await ctx.flow.emit(event, { price: job.data })
    },
  },
  bill: {
    config: { flow: { ...flow, role: 'step', subscribes: event } },
    handler: async (job, ctx) => {
      const { price } = job.data as { price: number }
      return (await ctx.state.get('price')) === price && price * tax
    },
  },
})

it('replays the steps of a flow with their data and state from the log', async () => {
  const files = await record(sale('sold'), (test) => test.kernel.flow('sale').start(100))
  expect(await expectReplay(sale('sold'), files)).toEqual({ runs: 1, jobs: 2 })
  expect(await differencesOf(expectReplay(sale('sold', 0.3), files))).toMatchObject([
    { step: 'sale.bill', expected: 'the end with the result 20', got: 'the end with the result 30' },
  ])
  const [first] = await differencesOf(expectReplay(sale('bought'), files))
  expect(first).toMatchObject({ step: 'sale.start', expected: 'event "sold"', got: 'event "bought"' })
  const { bill, ...rest } = sale('sold')
  expect(bill).toBeDefined()
  expect(await differencesOf(expectReplay({ ...rest, other: bill! }, files))).toMatchObject([
    { step: 'sale.bill', expected: 'worker "bill" for "bill" on queue "default"', got: 'no worker' },
  ])
})

it('follows the log of an open run as far as it goes', async () => {
  const waiting: TestWorker = async (_job, ctx) => {
    await ctx.step.run('charge', () => 1)
    return ctx.step.waitForEvent('paid', { event: 'paid' })
  }
  const files = await record({ order: waiting }, enqueue())
  await expectReplay({ order: waiting }, files)
  const renamed: TestWorker = (_job, ctx) => ctx.step.run('pay', () => 1)
  expect(await differencesOf(expectReplay({ order: renamed }, files))).toMatchObject([
    { expected: 'sub-step "charge"', got: 'sub-step "pay"' },
  ])
})

it('fails if a handler does not end, or no file matches', async () => {
  const files = await record({ order: () => 1 }, enqueue())
  const hanging: TestWorker = () => new Promise(() => {})
  expect(await differencesOf(expectReplay({ order: hanging }, files, { timeout: 5 }))).toMatchObject([
    { expected: 'the end with the result 1', got: 'no end within 5 ms' },
  ])
  await expect(expectReplay({}, '/nowhere/*.jsonl')).rejects.toThrow('No history matches /nowhere/*.jsonl')
})
