import { expect, it } from 'vitest'
import { codeOf } from '../harness.ts'
import { entry, range, step } from './flow-workers.ts'
import type { PresetTest } from './rig.ts'

/** Tests flows from their start to their single end. */
export function flowTests(test: PresetTest): void {
  it(
    'runs step after step, with events in order',
    test(async ({ kernel, start, event, types }) => {
      await start({
        first: entry(({ data }, ctx) => ctx.flow.emit('next', Number(data) + 1)),
        second: step({ subscribes: 'next' }, async ({ data }, ctx) => {
          await ctx.flow.emit('last', Number(data) * 10)
        }),
        third: step({ subscribes: 'last' }, ({ data }) => ({ total: data })),
      })
      const { runId } = await kernel.flow('f').start(1)
      expect((await event(runId, 'end')).type).toBe('flow.completed')
      const steps = ['step.started', 'emit', 'step.completed', 'step.queued']
      const expected = ['flow.started', ...steps, ...steps, 'step.started', 'step.completed', 'flow.completed']
      expect(await types(runId)).toEqual(expected)
      expect(await kernel.flow('f').result(runId)).toEqual({ total: 20 })
      expect(await kernel.flow('f').status(runId)).toMatchObject({ status: 'completed', flow: 'f', name: 'f' })
    }),
  )

  it(
    'runs a step once after all events that it waits for have arrived',
    test(async ({ kernel, start, event }) => {
      const runs: unknown[] = []
      await start({
        split: entry(async (_job, ctx) => {
          await ctx.flow.emit('left', 1)
          await ctx.flow.emit('right', 2)
        }),
        a: step({ subscribes: 'left' }, ({ data }, ctx) => ctx.flow.emit('leftDone', data)),
        b: step({ subscribes: 'right' }, ({ data }, ctx) => ctx.flow.emit('rightDone', data)),
        join: step({ subscribes: ['leftDone', 'rightDone'] }, ({ data }) => {
          runs.push(data)
          return data
        }),
      })
      const { runId } = await kernel.flow('f').start()
      expect((await event(runId, 'end')).data).toEqual({ result: { leftDone: 1, rightDone: 2 } })
      expect(runs).toEqual([{ leftDone: 1, rightDone: 2 }])
    }),
  )

  it(
    'runs a step once for the first event that it waits for',
    test(async ({ kernel, start, event, types }) => {
      const runs: unknown[] = []
      await start({
        split: entry(async (_job, ctx) => {
          await ctx.flow.emit('left', 'first')
          await ctx.flow.emit('right', 'second')
        }),
        any: step({ subscribes: ['left', 'right'], join: 'any' }, ({ data }) => void runs.push(data)),
      })
      const { runId } = await kernel.flow('f').start()
      await event(runId, 'end')
      expect(runs).toEqual(['first'])
      expect((await types(runId)).filter((type) => type === 'step.started')).toHaveLength(2)
    }),
  )

  it(
    'fans out to a thousand jobs and gathers what they emit',
    test(async ({ kernel, start, event, types, until }) => {
      await start({
        split: entry(async (_job, ctx) => {
          for (const n of range(1000)) await ctx.flow.emit('part', n)
        }),
        work: step({ subscribes: 'part' }, ({ data }, ctx) => ctx.flow.emit('square', Number(data) ** 2), {
          concurrency: 50,
        }),
        sum: step({ subscribes: 'square', gather: 'part' }, ({ data }) => {
          const { square } = data as { square: number[] }
          return { count: square.length, sum: square.reduce((sum, n) => sum + n, 0) }
        }),
      })
      const { runId } = await kernel.flow('f').start()
      // A slow store may take long, as long as it makes progress.
      for (const count of [1000, 2000, 3000, 4000, 5000]) {
        await until(`${count} events are stored`, async () => (await kernel.port('events').head(runId)) >= count)
      }
      expect((await event(runId, 'end')).data).toEqual({ result: { count: 1000, sum: 332_833_500 } })
      const counted = await types(runId)
      expect(counted.filter((type) => type === 'step.completed')).toHaveLength(1002)
      expect(counted.filter((type) => type === 'step.queued')).toHaveLength(1001)
    }),
  )

  it(
    'starts nothing for the events of a failed attempt',
    test(async ({ kernel, start, event }) => {
      const received: unknown[] = []
      await start({
        first: entry(
          async (_job, ctx) => {
            await ctx.flow.emit('next', ctx.attempt)
            if (ctx.attempt === 1) throw new Error('once')
          },
          { attempts: 2 },
        ),
        second: step({ subscribes: 'next' }, ({ data }) => void received.push(data)),
      })
      const { runId } = await kernel.flow('f').start()
      expect((await event(runId, 'end')).type).toBe('flow.completed')
      expect(received).toEqual([2])
    }),
  )

  it(
    'continues without a step that may fail',
    test(async ({ kernel, start, event, types }) => {
      await start({
        split: entry(async (_job, ctx) => {
          await ctx.flow.emit('risky')
          await ctx.flow.emit('safe')
        }),
        risky: step({ subscribes: 'risky', onError: 'continue' }, () => {
          throw new Error('boom')
        }),
        safe: step({ subscribes: 'safe' }, () => 'fine'),
      })
      const { runId } = await kernel.flow('f').start()
      expect((await event(runId, 'end')).type).toBe('flow.completed')
      expect(await types(runId)).toContain('step.failed')
      expect(await types(runId)).toContain('step.completed')
    }),
  )

  it(
    'fails when a step fails permanently, removes waiting jobs and stops running jobs',
    test(async ({ kernel, start, event, until, events, reach }) => {
      const stopped: unknown[] = []
      const works = Promise.withResolvers<void>()
      await start({
        split: entry(async (_job, ctx) => {
          for (const name of ['slow', 'slow', 'bad']) await ctx.flow.emit(name)
        }),
        slow: step({ subscribes: 'slow' }, async (_job, { signal }) => {
          works.resolve()
          await new Promise((resolve) => signal.addEventListener('abort', resolve))
          stopped.push((signal.reason as { code: string }).code)
        }),
        bad: step({ subscribes: 'bad' }, async () => {
          await works.promise
          throw new Error('boom')
        }),
      })
      const { runId } = await kernel.flow('f').start()
      expect(await event(runId, 'end')).toMatchObject({
        type: 'flow.failed',
        data: { step: 'bad', error: { message: 'boom' } },
      })
      await until('the running one is stopped', () => stopped.length === 1)
      await until('none of its jobs is left', async () => {
        const jobs = await kernel.port('queue').getJobs({ runId })
        return jobs.every(({ state }) => ['completed', 'failed', 'cancelled'].includes(state))
      })
      const slow = await kernel.port('queue').getJobs({ queue: 'slow' })
      for (const job of slow) await reach(job, 'cancelled')
      expect(slow.filter(({ claims }) => claims === 0)).toHaveLength(1)
      expect(stopped).toEqual(['JOB_CANCELLED'])
      expect((await events(runId)).filter(({ key }) => key === 'end')).toHaveLength(1)
      await expect(kernel.flow('f').result(runId)).rejects.toThrow('boom')
    }),
  )

  it(
    'ends as cancelled on request, once, and starts no further step',
    test(async ({ kernel, start, event, until, types }) => {
      const later: unknown[] = []
      let working = false
      await start({
        first: entry(async (_job, ctx) => {
          working = true
          await new Promise((resolve) => ctx.signal.addEventListener('abort', resolve))
          await ctx.flow.emit('next')
        }),
        second: step({ subscribes: 'next' }, () => void later.push('ran')),
      })
      const job = await kernel.flow('f').start()
      await until('it works', () => working)
      expect(await kernel.flow('f').cancel(job.runId, { reason: 'enough' })).toBe(true)
      expect(await kernel.flow('f').cancel(job.runId)).toBe(false)
      expect(await event(job.runId, 'end')).toMatchObject({ type: 'flow.cancelled', data: { reason: 'enough' } })
      await until(
        'its job has gone',
        async () => (await kernel.port('queue').getJob(job.queue, job.id))?.state === 'cancelled',
      )
      expect(await types(job.runId)).toEqual(['flow.started', 'step.started', 'flow.cancelled'])
      expect(later).toEqual([])
      expect(await codeOf(() => kernel.flow('f').result(job.runId))).toBe('JOB_CANCELLED')
    }),
  )

  it(
    'starts a run of an id once',
    test(async ({ kernel, start, event, events }) => {
      await start({ only: entry(({ data }) => data) })
      const started = await Promise.all(range(5).map((n) => kernel.flow('f').start(n, { id: 'order-1' })))
      expect(started.filter(({ deduplicated }) => !deduplicated)).toHaveLength(1)
      await event('order-1', 'end')
      expect((await events('order-1')).map(({ type }) => type)).toEqual([
        'flow.started',
        'step.started',
        'step.completed',
        'flow.completed',
      ])
    }),
  )
}
