import { expect, it } from 'vitest'
import { endKey, type EnqueuedJob } from '../../../kernel/index.ts'
import { codeOf } from '../harness.ts'
import type { PresetTest } from './rig.ts'

/** Tests the events of plain jobs. */
export function presetJobTests(test: PresetTest): void {
  it(
    'runs a job, with two events',
    test(async ({ kernel, start, reach, events }) => {
      await start({ hello: ({ data }) => `hi ${String(data)}` })
      const job = await kernel.enqueue('hello', 'Ada')
      await reach(job, 'completed')
      const [started, completed, ...more] = await events(job.runId)
      const common = { step: 'hello', stepId: job.id, attempt: 1, runId: job.runId }
      expect(started).toMatchObject({ ...common, seq: 1, type: 'step.started', data: { queue: 'hello', claim: 1 } })
      expect(completed).toMatchObject({ ...common, seq: 2, type: 'step.completed', data: { result: 'hi Ada' } })
      expect(more).toEqual([])
      expect(await kernel.result(job)).toBe('hi Ada')
      const run = { status: 'completed', name: 'hello', queue: 'hello', jobId: job.id, head: 2 }
      expect(await kernel.port('events').runs.get(job.runId)).toMatchObject(run)
    }),
  )

  it(
    'stores the events of a handler in order',
    test(async ({ kernel, start, reach, events }) => {
      await start({
        async w(_job, ctx) {
          await ctx.state.set('n', 1)
          await ctx.logger.info('one')
          await ctx.emit('mine', { n: 2 })
          void ctx.state.set('n', 2)
          void ctx.logger.warn('not awaited')
        },
      })
      const job = await kernel.enqueue('w')
      await reach(job, 'completed')
      const stored = await events(job.runId)
      const types = ['step.started', 'state.set', 'runner.log', 'mine', 'state.set', 'runner.log', 'step.completed']
      expect(stored.map(({ type }) => type)).toEqual(types)
      expect(stored[3]!.data).toEqual({ n: 2 })
    }),
  )

  it(
    'stores an event for each attempt of a retried job',
    test(async ({ kernel, start, reach, events }) => {
      await start({
        w(_job, { attempt }) {
          if (attempt < 3) throw new Error(`no ${attempt}`)
          return 'yes'
        },
      })
      const job = await kernel.enqueue('w', null, { attempts: 3, backoff: 20 })
      await reach(job, 'completed')
      const stored = await events(job.runId)
      expect(stored.map(({ type, attempt }) => [type, attempt])).toEqual([
        ['step.started', 1],
        ['step.retry', 1],
        ['step.started', 2],
        ['step.retry', 2],
        ['step.started', 3],
        ['step.completed', 3],
      ])
      expect(stored[1]!.data).toMatchObject({ error: { message: 'no 1' } })
    }),
  )

  it(
    'fails a job whose attempts are used up, and runs it again on request',
    test(async ({ kernel, start, reach, types }) => {
      let broken = true
      await start({
        w() {
          if (broken) throw new Error('broken')
          return 'mended'
        },
      })
      const job = await kernel.enqueue('w', null, { attempts: 2 })
      await reach(job, 'failed')
      const failed = ['step.started', 'step.retry', 'step.started', 'step.failed']
      expect(await types(job.runId)).toEqual(failed)
      await expect(kernel.result(job)).rejects.toThrow('broken')
      expect(await kernel.port('events').runs.get(job.runId)).toMatchObject({ status: 'failed' })
      broken = false
      await kernel.retry(job)
      await reach(job, 'completed')
      expect(await kernel.result(job)).toBe('mended')
      expect(await types(job.runId)).toEqual([...failed, 'step.started', 'step.completed'])
      expect(await kernel.port('events').runs.get(job.runId)).toMatchObject({ status: 'completed' })
    }),
  )

  it(
    'defers a job, and stores an event',
    test(async ({ kernel, start, reach, types }) => {
      await start({ w: (_job, ctx) => (ctx.claim === 1 ? ctx.defer({ delay: 20 }) : 'done') })
      const job = await kernel.enqueue('w')
      await reach(job, 'completed')
      expect(await types(job.runId)).toEqual(['step.started', 'step.deferred', 'step.started', 'step.completed'])
    }),
  )

  it(
    'completes a job whose outcome was logged when it is claimed again, without running it',
    test(async ({ kernel, start, reach, types }) => {
      const gate = Promise.withResolvers<void>()
      const ran: number[] = []
      await start({
        async w(_job, ctx) {
          ran.push(ctx.claim)
          await gate.promise
          return ctx.defer({ delay: 0 })
        },
      })
      const job = await kernel.enqueue('w')
      await reach(job, 'active')
      await kernel.port('queue').pause('w')
      gate.resolve()
      await reach(job, 'waiting')
      const end = { type: 'step.completed', key: endKey({ id: job.id, round: 0 }), data: { result: 'by another' } }
      await kernel.port('events').append(job.runId, [end], { run: { status: 'completed' } })
      await kernel.port('queue').resume('w')
      expect(await reach(job, 'completed')).toMatchObject({ claims: 2 })
      expect(ran).toEqual([1])
      expect(await types(job.runId)).toEqual(['step.started', 'step.deferred', 'step.completed'])
      expect(await kernel.result(job)).toBe('by another')
    }),
  )

  it(
    'stops a job immediately whose outcome was logged before its first start',
    test(async ({ kernel, start, reach, types }) => {
      await start({
        w: (_job, { signal }) => new Promise((resolve) => signal.addEventListener('abort', resolve)),
      })
      await kernel.port('queue').pause('w')
      const job = await kernel.enqueue('w')
      const end = { type: 'step.cancelled', key: endKey({ id: job.id, round: 0 }), data: { reason: 'early' } }
      await kernel.port('events').append(job.runId, [end], { run: { status: 'cancelled' } })
      await kernel.port('queue').resume('w')
      expect(await reach(job, 'cancelled')).toMatchObject({ claims: 1, attemptsMade: 0 })
      expect(await types(job.runId)).toEqual(['step.cancelled'])
    }),
  )

  it(
    'ends each job once if it is cancelled and completed at the same time',
    test(async ({ kernel, start, until, events }) => {
      await start({
        w: [
          { concurrency: 10, queue: 'w' },
          async ({ data }) => {
            for (let turn = 0; turn < Number(data); turn++) await new Promise(setImmediate)
          },
        ],
      })
      const jobs = await kernel.enqueueMany(Array.from({ length: 30 }, (_, n) => ({ worker: 'w', data: n % 6 })))
      const answers = await Promise.all(jobs.map((job) => kernel.cancel(job)))
      const stateOf = async ({ queue, id }: EnqueuedJob): Promise<string> =>
        (await kernel.port('queue').getJob(queue, id))!.state
      await until('all have ended', async () => {
        const { waiting, active, delayed } = await kernel.port('queue').getJobCounts('w')
        return waiting + active + delayed === 0
      })
      for (const [index, job] of jobs.entries()) {
        const ends = (await events(job.runId)).filter(({ key }) => key === endKey({ id: job.id, round: 0 }))
        const state = answers[index] ? 'cancelled' : 'completed'
        expect(ends.map(({ type }) => type)).toEqual([`step.${state}`])
        expect(await stateOf(job)).toBe(state)
        expect((await kernel.port('events').runs.get(job.runId))?.status).toBe(state)
      }
    }),
  )

  it(
    'accepts no more events in an ended run',
    test(async ({ kernel, start, reach, types, until }) => {
      const late: unknown[] = []
      const gate = Promise.withResolvers<void>()
      await start({
        w(_job, ctx) {
          void gate.promise.then(async () => {
            late.push(await codeOf(() => ctx.emit('late')), await codeOf(() => ctx.state.set('late', 1)))
          })
        },
      })
      const job = await kernel.enqueue('w')
      await reach(job, 'completed')
      gate.resolve()
      await until('both are refused', () => late.length === 2)
      expect(late).toEqual(['RUN_ENDED', 'RUN_ENDED'])
      expect(await types(job.runId)).toEqual(['step.started', 'step.completed'])
    }),
  )

  it(
    'fails a job whose result cannot be stored, and keeps none of its final events',
    test(async ({ kernel, start, reach, types }) => {
      await start({
        w(_job, ctx) {
          ctx.outbox.push({ type: 'mine' })
          return { run() {} }
        },
      })
      const job = await kernel.enqueue('w')
      expect((await reach(job, 'failed')).error).toMatchObject({ code: 'VALUE_UNSUPPORTED' })
      expect(await types(job.runId)).toEqual(['step.started', 'step.failed'])
    }),
  )

  it(
    'fails a job if a write that its handler did not await is rejected',
    test(async ({ kernel, start, reach, types }) => {
      await start({
        w(_job, { state }) {
          void state.set('bad', () => {})
          return 'looks fine'
        },
      })
      const job = await kernel.enqueue('w')
      expect((await reach(job, 'failed')).error).toMatchObject({ code: 'VALUE_UNSUPPORTED' })
      expect(await types(job.runId)).toEqual(['step.started', 'step.failed'])
    }),
  )

  it(
    'closes during work: waits for jobs that end in time, and returns the others to the queue',
    test(async ({ kernel, start, until }) => {
      const gate = Promise.withResolvers<void>()
      const begun: string[] = []
      await start({
        quick: ({ id }) => {
          begun.push(id)
          return gate.promise.then(() => 'in time')
        },
        slow: ({ id }, { signal }) => {
          begun.push(id)
          return new Promise((_resolve, reject) => {
            signal.addEventListener('abort', () => reject(new Error('told to stop')))
          })
        },
      })
      const quick = await kernel.enqueue('quick')
      const slow = await kernel.enqueue('slow')
      await until('both have begun', () => begun.includes(quick.id) && begun.includes(slow.id))
      // A busy machine stores the end of the quick job within this time as well.
      const closing = kernel.close({ timeout: 3000 })
      gate.resolve()
      const { aborted } = await closing
      expect(aborted.map(({ id }) => id)).toEqual([slow.id])
      expect(await codeOf(() => kernel.enqueue('quick'))).toBe('KERNEL_CLOSED')
    }),
  )
}
