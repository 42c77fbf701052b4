import { expect, it } from 'vitest'
import type { EnqueuedJob, KernelConfig, WorkerConfig } from '../../../kernel/index.ts'
import type { FlowOptions } from '../../../plugins/flow/flow/index.ts'
import { codeOf } from '../harness.ts'
import type { PresetTest } from './rig.ts'

const RETENTION = {
  retention: {
    sweepEvery: 5,
    sweepInterval: 0,
    minAge: 0,
    completed: { age: 3_600_000, count: 10 },
    failed: { age: 3_600_000, count: 3 },
  },
}

/** Sweeps only by time, and keeps nothing by number. */
function sweepsBy(minAge: number): KernelConfig {
  const none = { age: 3_600_000, count: 0 }
  return {
    retention: { sweepEvery: 1_000_000, sweepInterval: 20, minAge, completed: none, failed: { ...none, age: 0 } },
  }
}

/** Removes ended jobs and runs immediately. */
const AT_ONCE: KernelConfig = {
  retention: {
    ...{ sweepEvery: 1, sweepInterval: 20, minAge: 0 },
    ...{ completed: { age: 0, count: 0 }, failed: { age: 0, count: 0 } },
  },
}

/** Also remembers no ids, so that only recorded events prevent a second run. */
const NOTHING_KNOWN: KernelConfig = { retention: { ...(AT_ONCE.retention as object), deduplication: 0 } }

/** Tests which ended jobs and runs are removed, and which are kept. */
export function retentionTests(test: PresetTest): void {
  it(
    'keeps the number of ended runs and jobs within the bounds, and never removes an open run',
    test(async ({ kernel, start, reach, until }) => {
      const gate = Promise.withResolvers<void>()
      await start({
        good: () => {},
        bad() {
          throw new Error('boom')
        },
        slow: () => gate.promise,
      })
      const open = await kernel.enqueue('slow')
      await reach(open, 'active')
      for (let n = 0; n < 40; n++) {
        await kernel.enqueue('good', n)
        await kernel.enqueue('bad', n)
      }
      const sizes = async (status: 'completed' | 'failed', queue: string): Promise<number[]> => {
        const runs = await kernel.port('events').runs.list({ status, limit: 1000 })
        return [runs.length, (await kernel.port('queue').getJobCounts(queue))[status]]
      }
      const idle = async (queue: string): Promise<boolean> => {
        const { waiting, active } = await kernel.port('queue').getJobCounts(queue)
        return waiting + active === 0
      }
      await until('all have run', async () => (await idle('good')) && (await idle('bad')))
      // A sweep follows every fifth end, so a few more than the limit may exist.
      const within = (bound: number, counted: readonly number[]): boolean => counted.every((size) => size <= bound + 5)
      await until('completed ones are swept', async () => within(10, await sizes('completed', 'good')))
      await until('failed ones are swept', async () => within(3, await sizes('failed', 'bad')))
      expect(await kernel.port('events').runs.get(open.runId)).toMatchObject({ status: 'running' })
      gate.resolve()
      await reach(open, 'completed')
    }, RETENTION),
  )

  it(
    'does not remove recently ended jobs by number, but removes jobs by age without delay',
    test(async ({ kernel, start, reach, until }) => {
      await start({
        good: () => 'done',
        bad() {
          throw new Error('boom')
        },
      })
      const jobs: EnqueuedJob[] = []
      for (let n = 0; n < 30; n++) jobs.push(await kernel.enqueue('good', n, { id: `good-${n}` }))
      for (const job of jobs) await reach(job, 'completed')
      // A sweep checks completed jobs first. When this job is removed, they have been checked.
      const bad = await kernel.enqueue('bad')
      await until('a sweep has passed', async () => {
        const run = await kernel.port('events').runs.get(bad.runId)
        return run === undefined && (await kernel.port('queue').getJob('bad', bad.id)) === undefined
      })
      for (const [n, job] of jobs.entries()) {
        expect(await kernel.port('events').runs.get(job.runId)).toMatchObject({ status: 'completed' })
        expect(await kernel.enqueue('good', n, { id: `good-${n}` })).toMatchObject({ deduplicated: true })
        expect(await kernel.result(job)).toBe('done')
      }
    }, sweepsBy(3_600_000)),
  )

  it(
    'does not restart a known id after its job and run were removed',
    test(async ({ kernel, start, until }) => {
      const ran: string[] = []
      await start({
        plain: ({ data }) => void ran.push(String(data)),
        entry: [{ flow: { name: 'order', role: 'entry' } }, ({ data }) => void ran.push(String(data))],
        fired: [{ trigger: { type: 'manual', name: 'hook' } }, ({ data }) => void ran.push(String(data))],
      })
      const forgotten = ({ queue, id, runId }: EnqueuedJob): Promise<unknown> =>
        until('it is forgotten', async () => {
          const run = await kernel.port('events').runs.get(runId)
          return !run && !(await kernel.port('queue').getJob(queue, id)) && kernel.port('queue').forgotten(queue, id)
        })
      const begin = (): Promise<EnqueuedJob[]> =>
        Promise.all([
          kernel.enqueue('plain', 'plain', { id: 'charge-7' }),
          kernel.flow('order').start('flow', { id: 'order-7' }),
          kernel.emitTrigger('hook', 'delivery', { id: 'delivery-7' }),
        ])
      const first = await begin()
      for (const job of first) await forgotten(job)
      const again = await begin()
      expect(again).toEqual(first.map((job) => ({ ...job, deduplicated: true })))
      const codes = [codeOf(() => kernel.result(again[0]!)), codeOf(() => kernel.flow('order').result('order-7'))]
      expect(await Promise.all(codes)).toEqual(['JOB_FORGOTTEN', 'JOB_FORGOTTEN'])
      expect(await codeOf(() => kernel.result({ queue: 'plain', id: 'charge-7' }))).toBe('JOB_FORGOTTEN')
      expect(ran.toSorted()).toEqual(['delivery', 'flow', 'plain'])
      expect(await kernel.port('queue').remove('plain', 'charge-7')).toBe(true)
      const anew = await kernel.enqueue('plain', 'once more', { id: 'charge-7' })
      expect(anew).toMatchObject({ deduplicated: false })
      await forgotten(anew)
      expect(ran).toHaveLength(4)
    }, AT_ONCE),
  )

  it(
    'keeps everything that an open run depends on: results of children and steps, gathered data, finished waits',
    test(async ({ kernel, start, until }) => {
      const ran: string[] = []
      const failed = new Set<string>()
      const did = (what: string, result?: unknown): unknown => (ran.push(what), result)
      const queues = new Set(['entry', 'part', 'child', 'beside'])
      /** Fails an attempt after all ended jobs are removed, so that the next attempt can use only recorded events. */
      const failOnceForgotten = async (what: string): Promise<void> => {
        if (failed.has(what)) return
        failed.add(what)
        await until(`all jobs and runs are removed before "${what}" fails`, async () => {
          const jobs = (await kernel.port('queue').getJobs()).filter(({ queue }) => queues.has(queue))
          return jobs.every(({ state }) => state !== 'completed' && state !== 'failed')
        })
        throw new Error('once')
      }
      const done = Promise.withResolvers<unknown>()
      const step = (more: Partial<FlowOptions>): WorkerConfig => ({
        flow: { name: 'outer', role: 'step', ...more },
        attempts: 2,
      })
      await start({
        entry: [
          { flow: { name: 'outer', role: 'entry', emits: ['part'] }, attempts: 2 },
          async (_job, ctx) => {
            const beside = await ctx.flow.start('beside', 1)
            const child = await ctx.flow.start('child', ctx.runId, { wait: true })
            const told = await ctx.step.waitForEvent('told', { event: 'told', key: ctx.runId })
            const part = await ctx.step.run('part', () => did('sub-step', 'kept'))
            for (const n of [1, 2, 3]) await ctx.flow.emit('part', n, { immediate: true })
            await failOnceForgotten('entry')
            did('entry')
            await ctx.state.set('seen', { beside: typeof beside.runId, child, told, part })
          },
        ],
        part: [
          step({ subscribes: 'part', emits: ['part.done'] }),
          async ({ data }, ctx) => {
            did(`part ${String(data)}`)
            await ctx.flow.emit('part.done', Number(data) * 10)
          },
        ],
        last: [
          step({ subscribes: 'part.done', gather: 'part' }),
          async ({ data }, ctx) => {
            await failOnceForgotten('last')
            did('last')
            done.resolve({ gathered: data, seen: await ctx.state.get('seen') })
          },
        ],
        child: [
          { flow: { name: 'child', role: 'entry' } },
          async ({ data }) => {
            await kernel.sendEvent('told', 'hello', { key: String(data) })
            return did('child', 42)
          },
        ],
        beside: [{ flow: { name: 'beside', role: 'entry' } }, () => did('beside')],
      })
      await kernel.flow('outer').start()
      expect(await done.promise).toEqual({
        gathered: { 'part.done': expect.toSatisfy((all: number[]) => [10, 20, 30].every((n) => all.includes(n))) },
        seen: { beside: 'string', child: 42, told: 'hello', part: 'kept' },
      })
      expect(ran.toSorted()).toEqual(
        ['beside', 'child', 'entry', 'last', 'part 1', 'part 2', 'part 3', 'sub-step'].toSorted(),
      )
    }, NOTHING_KNOWN),
  )

  it(
    'removes old runs by number',
    test(async ({ kernel, start, until }) => {
      await start({ good: () => 'done' })
      const jobs: EnqueuedJob[] = []
      for (let n = 0; n < 30; n++) jobs.push(await kernel.enqueue('good', n))
      for (const job of jobs) {
        await until('its run is removed', async () => (await kernel.port('events').runs.get(job.runId)) === undefined)
        await until('it is forgotten', async () => (await kernel.port('queue').getJob('good', job.id)) === undefined)
      }
    }, sweepsBy(100)),
  )
}
