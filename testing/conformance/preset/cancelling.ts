import { expect, it } from 'vitest'
import type { JobRecord, Kernel, RunContext, StoredEvent } from '../../../kernel/index.ts'
import { entry, step, undo } from './flow-workers.ts'
import type { PresetTest, Worker } from './rig.ts'

/** The situations in which a run is cancelled: its workers, and the event that shows that the run is in that situation. */
interface Stage {
  workers: Record<string, Worker>
  there: (event: StoredEvent) => boolean
  before?: (kernel: Kernel) => unknown
}

const typed =
  (type: string, name?: string) =>
  (event: StoredEvent): boolean =>
    event.type === type && (name === undefined || event.step === name)

/** Runs until its signal aborts. */
const untilStopped = async (_job: unknown, { signal }: { signal: AbortSignal }): Promise<void> => {
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve))
}
const next = (): Worker => entry((_job, ctx) => ctx.flow.emit('next'))

const STAGES: Record<string, Stage> = {
  'while its first step runs': { workers: { first: entry(untilStopped) }, there: typed('step.started') },
  'while a step is queued': {
    workers: { first: next(), second: step({ subscribes: 'next' }, () => {}) },
    before: (kernel) => kernel.port('queue').pause('second'),
    there: typed('step.queued', 'second'),
  },
  'while a step waits before its handler': {
    workers: {
      first: next(),
      second: step({ subscribes: 'next' }, () => {}, { awaitBefore: { type: 'event', event: 'x' } }),
    },
    there: typed('step.deferred', 'second'),
  },
  'while a step waits after its handler': {
    workers: { first: entry(() => 'done', { awaitAfter: { type: 'time', delay: 60_000 } }) },
    there: typed('step.deferred', 'first'),
  },
  'while a handler sleeps': {
    workers: { first: entry(async (_job, ctx) => ctx.step.sleep('nap', 60_000)) },
    there: typed('step.deferred', 'first'),
  },
  'between two attempts': {
    workers: {
      first: entry(
        () => {
          throw new Error('once')
        },
        { attempts: 2, backoff: 60_000 },
      ),
    },
    there: typed('step.retry', 'first'),
  },
  'in a fan-out': {
    workers: {
      first: entry(async (_job, ctx) => {
        for (const part of [1, 2, 3]) await ctx.flow.emit('part', part)
      }),
      part: step({ subscribes: 'part' }, untilStopped, { concurrency: 2 }),
      sum: step({ subscribes: 'done', gather: 'part' }, () => {}),
    },
    there: typed('step.started', 'part'),
  },
  'while it is undone': {
    workers: {
      first: next(),
      second: step({ subscribes: 'next', onError: 'compensate' }, () => {
        throw new Error('boom')
      }),
      undo: undo('first', untilStopped),
    },
    there: typed('step.started', 'undo'),
  },
}

/** Tests that a cancelled run ends as cancelled in every situation, and leaves no job behind. */
export function cancelTests(test: PresetTest): void {
  for (const [name, { workers, there, before }] of Object.entries(STAGES)) {
    it(
      `is cancelled ${name}`,
      test(async ({ kernel, start, until, events }) => {
        await start(workers)
        await before?.(kernel)
        const { runId } = await kernel.flow('f').start()
        await until('it is there', async () => (await events(runId)).some(there))
        expect(await kernel.flow('f').cancel(runId)).toBe(true)
        await until('none of its jobs is left', async () => {
          const jobs = await kernel.port('queue').getJobs({ runId })
          return jobs.every(({ state }) => ['completed', 'failed', 'cancelled'].includes(state))
        })
        expect(await kernel.flow('f').cancel(runId)).toBe(false)
        expect(await kernel.flow('f').status(runId)).toMatchObject({ status: 'cancelled' })
        expect((await events(runId)).filter(({ key }) => key === 'end')).toMatchObject([{ type: 'flow.cancelled' }])
        expect((await events(runId)).at(-1)!.type).toBe('flow.cancelled')
      }),
    )
  }

  it(
    'cancels a run while its entry is queued, including a child run that another run waits for',
    test(async ({ kernel, start, event, reach, until }) => {
      await start({
        outer: [
          { flow: { name: 'outer', role: 'entry' } },
          ({ data }, ctx) => ctx.flow.start('inner', 1, { wait: true, id: String(data) }),
        ],
        inner: [{ flow: { name: 'inner', role: 'entry' } }, () => 'ran'],
      })
      const queue = kernel.port('queue')
      await queue.pause('inner')
      const alone = await kernel.flow('inner').start(1)
      expect(await kernel.flow('inner').cancel(alone.runId, { reason: 'not now' })).toBe(true)
      await expect(kernel.flow('inner').result(alone.runId)).rejects.toThrow('not now')
      await reach(alone, 'cancelled')
      expect(await kernel.flow('inner').cancel('nobody')).toBe(false)

      const parent = await kernel.flow('outer').start('child-1')
      await reach(parent, 'delayed')
      expect(await kernel.cancel({ queue: 'inner', id: 'child-1.inner' })).toBe(true)
      expect(await event('child-1', 'end')).toMatchObject({ type: 'flow.cancelled' })
      expect(await event(parent.runId, 'end')).toMatchObject({
        type: 'flow.failed',
        data: { error: { code: 'FLOW_CHILD_FAILED' } },
      })

      const cancelled = await kernel.flow('outer').start('child-2')
      await reach(cancelled, 'delayed')
      expect(await kernel.flow('outer').cancel(cancelled.runId)).toBe(true)
      expect(await event('child-2', 'end')).toMatchObject({ type: 'flow.cancelled' })
      await queue.resume('inner')
      await until(
        'nothing is left',
        async () => (await queue.getJobs({ queue: 'inner', states: ['waiting'] })).length === 0,
      )
      expect((await kernel.port('events').read('child-2')).map(({ type }) => type)).not.toContain('step.started')
    }),
  )

  it(
    'ends the runs that a job has started and waits for, unless the job completes',
    test(async ({ kernel, start, event, reach, until }) => {
      const inner = (ctx: RunContext, id: string): Promise<unknown> => ctx.flow.start('inner', id, { wait: true, id })
      await start({
        inner: [{ flow: { name: 'inner', role: 'entry' } }, () => 'ran'],
        plain: ({ data }, ctx) => inner(ctx, String(data)),
        fails: ({ data }, ctx) =>
          Promise.all([
            inner(ctx, String(data)),
            ctx.step.sleep('nap', 1).then(() => {
              throw new Error('boom')
            }),
          ]),
        first: entry((_job, ctx) => ctx.flow.emit('next')),
        slow: step({ subscribes: 'next', emits: ['slow'] }, (_job, ctx) => inner(ctx, 'of-a-loser')),
        fast: step({ subscribes: 'next', emits: ['fast'] }, async (_job, ctx) => {
          await ctx.step.waitForEvent('go', { event: 'go', key: 'now' })
          await ctx.flow.emit('fast')
        }),
        join: step({ subscribes: ['slow', 'fast'], join: 'any', losers: 'cancel' }, () => {}),
      })
      const queue = kernel.port('queue')
      await queue.pause('inner')
      const there = (id: string): Promise<JobRecord> => reach({ queue: 'inner', id: `${id}.inner` }, 'waiting')
      const shared = await kernel.flow('inner').start('shared', { id: 'shared' })

      const plain = await kernel.enqueue('plain', 'of-a-plain-job')
      await there('of-a-plain-job')
      await reach(plain, 'delayed')
      expect(await kernel.cancel(plain)).toBe(true)
      expect(await event('of-a-plain-job', 'end')).toMatchObject({ type: 'flow.cancelled' })

      const failing = await kernel.enqueue('fails', 'of-a-failed-job')
      expect(await event(failing.runId, `end:${failing.id}`)).toMatchObject({ data: { error: { message: 'boom' } } })
      expect(await event('of-a-failed-job', 'end')).toMatchObject({ type: 'flow.cancelled' })

      const run = await kernel.flow('f').start()
      await there('of-a-loser')
      await kernel.sendEvent('go', undefined, { key: 'now' })
      expect(await event('of-a-loser', 'end')).toMatchObject({ type: 'flow.cancelled' })
      expect(await event(run.runId, 'end')).toMatchObject({ type: 'flow.completed' })

      // A job must not end a run that another caller has started.
      const waiting = await kernel.enqueue('plain', 'shared')
      await reach(waiting, 'delayed')
      expect(await kernel.cancel(waiting)).toBe(true)
      await queue.resume('inner')
      expect(await kernel.flow('inner').result(shared.runId)).toBe('ran')
      const left = { queue: 'inner', states: ['waiting', 'delayed'] } as const
      await until('nothing is left', async () => (await queue.getJobs(left)).length === 0)
    }),
  )
}
