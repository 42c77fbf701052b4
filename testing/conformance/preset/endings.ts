import { expect, it } from 'vitest'
import { checkHealth } from '../../../plugins/observability/lib/health.ts'
import { codeOf } from '../harness.ts'
import { entry, step } from './flow-workers.ts'
import type { PresetTest } from './rig.ts'

/** Tests that nothing waits forever, and that a caller can act on the end of a job immediately. */
export function endingTests(test: PresetTest): void {
  it(
    'rejects waiting for the result of a job that never existed or was removed',
    test(async ({ kernel, start, reach }) => {
      await start({ w: () => 'done' })
      expect(await codeOf(() => kernel.result({ queue: 'w', id: 'nobody' }))).toBe('JOB_NOT_FOUND')
      expect(await codeOf(() => kernel.result({ queue: 'no-queue', id: 'nobody', runId: 'none' }))).toBe(
        'JOB_NOT_FOUND',
      )
      const done = await kernel.enqueue('w')
      await reach(done, 'completed')
      expect(await kernel.result({ queue: 'w', id: done.id })).toBe('done')
      await kernel.port('queue').remove('w', done.id)
      // The log of the run still exists.
      expect(await kernel.result(done)).toBe('done')
      expect(await codeOf(() => kernel.result({ queue: 'w', id: done.id }))).toBe('JOB_NOT_FOUND')
    }),
  )

  it(
    'stops waiting for the result of a job that is removed',
    test(async ({ kernel, start, until }) => {
      await start({ w: () => 'done' })
      await kernel.port('queue').pause('w')
      const job = await kernel.enqueue('w')
      let code: unknown
      void codeOf(() => kernel.result(job)).then((found) => (code = found))
      await kernel.port('queue').remove('w', job.id)
      await until('the wait has ended', () => code !== undefined)
      expect(code).toBe('JOB_NOT_FOUND')
    }),
  )

  it(
    'retries a job as soon as its failure is known',
    test(async ({ kernel, start }) => {
      let broken = true
      await start({
        w() {
          if (broken) throw new Error('broken')
          return 'mended'
        },
      })
      for (let round = 0; round < 10; round++) {
        broken = true
        const job = await kernel.enqueue('w', round)
        await expect(kernel.result(job)).rejects.toThrow('broken')
        broken = false
        await kernel.retry(job)
        expect(await kernel.result(job)).toBe('mended')
      }
    }),
  )

  it(
    'keeps the code of the error that failed a flow',
    test(async ({ kernel, start }) => {
      await start({
        first: entry((_job, ctx) => ctx.flow.emit('next')),
        second: step({ subscribes: 'next' }, () => {
          throw Object.assign(new RangeError('too far'), { code: 'E_FAR' })
        }),
      })
      const { runId } = await kernel.flow('f').start()
      const failure = { name: 'RangeError', message: 'too far', code: 'E_FAR', step: 'second' }
      await expect(kernel.flow('f').result(runId)).rejects.toMatchObject(failure)
    }),
  )

  it(
    'starts no handler after its job was cancelled',
    test(async ({ kernel, start, until }) => {
      const cancelled = new Set<string>()
      const late: string[] = []
      await start({
        w: [{ concurrency: 2 }, ({ id }) => void (cancelled.has(id) && late.push(id))],
      })
      const jobs = await kernel.enqueueMany(Array.from({ length: 200 }, () => ({ worker: 'w' })))
      await Promise.all(jobs.map(async (job) => void ((await kernel.cancel(job)) && cancelled.add(job.id))))
      await until('all have ended', async () => {
        const { waiting, active, delayed } = await kernel.port('queue').getJobCounts('w')
        return waiting + active + delayed === 0
      })
      expect(late).toEqual([])
    }),
  )

  it(
    'reports a handler that does not return, and is unhealthy if there are too many',
    test(
      async ({ kernel, start, reach, until, reports }) => {
        const gate = Promise.withResolvers<void>()
        await start({ w: [{ timeout: 20 }, () => gate.promise] })
        const job = await kernel.enqueue('w')
        await reach(job, 'failed')
        const next = await kernel.enqueue('w')
        await until('it is reported', () => kernel.stuckHandlers().length === 1)
        expect(kernel.stuckHandlers()).toMatchObject([{ id: job.id, queue: 'w', worker: 'w' }])
        expect(reports.map(({ message }) => message)).toContainEqual(expect.stringContaining('is still running'))
        const about = { code: 'stuck-handlers', jobs: [job.id] }
        expect((await kernel.explain(next)).reasons).toContainEqual(expect.objectContaining(about))
        expect((await kernel.explain(job)).reasons).toContainEqual(expect.objectContaining(about))
        expect(await checkHealth(kernel)).toMatchObject({ status: 'unavailable', checks: { handlers: { ok: false } } })
        gate.resolve()
        await until('it has returned', () => kernel.stuckHandlers().length === 0)
        expect(await checkHealth(kernel)).toMatchObject({ status: 'ok' })
      },
      { handlerGrace: 20, maxStuckHandlers: 1 },
    ),
  )

  it(
    'defers a job without a worker until there is one or the time limit is over',
    test(
      async ({ kernel, start, reach, types }) => {
        await start({ known: () => 'known' })
        const unknown = { queue: 'known', name: 'new' }
        const job = await kernel.enqueue(unknown)
        await reach(job, 'delayed')
        expect(await types(job.runId)).toEqual(['step.deferred'])
        await kernel.registerWorker({ id: 'new', config: { queue: 'known' }, handler: () => 'new' })
        await kernel.port('queue').promote('known', job.id)
        expect(await reach(job, 'completed')).toMatchObject({ result: 'new', attemptsMade: 0 })
        await kernel.unregisterWorker('new')
        const late = await kernel.enqueue(unknown)
        expect(await reach(late, 'failed')).toMatchObject({ error: { code: 'WORKER_UNKNOWN' } })
      },
      { workerWait: 1500 },
    ),
  )

  it(
    'keeps a run open while its step has no worker, and continues when a worker is registered',
    test(
      async ({ kernel, start, until, events }) => {
        const work = { queue: 'work' }
        await start({
          first: entry((_job, ctx) => ctx.flow.emit('next'), work),
          second: step({ subscribes: 'next' }, () => 'done', work),
        })
        await kernel.port('queue').pause('work')
        const { runId } = await kernel.flow('f').start()
        await kernel.unregisterWorker('second')
        const queued = { queue: 'work', name: 'second' }
        const flow = { name: 'f', step: 'second' }
        const job = await kernel.enqueue(queued, null, { runId, flow, id: `${runId}:second:by-hand` })
        await kernel.port('queue').resume('work')
        await until('it was put off', async () => {
          const record = await kernel.port('queue').getJob('work', job.id)
          return record?.state === 'delayed' && record.claims > 0
        })
        expect((await events(runId)).map(({ type }) => type)).not.toContain('step.failed')
        expect((await kernel.explain(job)).reasons.map(({ code }) => code)).toContain('no-worker')
      },
      { workerWait: 0 },
    ),
  )

  it(
    'is not disturbed by listeners that throw or reject',
    test(async ({ kernel, start, reach, until, reports }) => {
      await start({ w: () => 'done' })
      const throws = (): never => {
        throw new Error('listener')
      }
      const rejects = (): never => Promise.reject(new Error('listener')) as never
      for (const listener of [throws, rejects]) {
        kernel.port('queue').on('*', '*', listener)
        await kernel.port('events').subscribe('heard', { after: 0, onMessage: listener }, listener)
      }
      const job = await kernel.enqueue('w', null, { runId: 'heard' })
      await reach(job, 'completed')
      await kernel.port('events').publish('heard', [{ type: 'note' }])
      await until('both kinds are reported', () => {
        const listenerReports = reports.filter(({ message }) => message.includes('listener'))
        return (
          listenerReports.some(({ message }) => message.includes('queue')) &&
          listenerReports.some(({ message }) => message.includes('stream'))
        )
      })
      expect(await kernel.result(await kernel.enqueue('w'))).toBe('done')
    }),
  )

  it(
    'settles a job with what its log says, if another end was stored before that of its handler',
    test(async ({ kernel, start, reach, types }) => {
      const started: unknown[] = []
      let running = 0
      let atOnce = 0
      await start({
        async w({ data }) {
          atOnce = Math.max(atOnce, ++running)
          started.push(data)
          await Promise.resolve()
          running--
          return data
        },
      })
      const error = { name: 'Error', message: 'decided elsewhere' }
      const stored: Promise<unknown>[] = []
      kernel.hook('emit', async ({ stream, events, options }, next) => {
        const end = events.at(-1)
        if (end?.type === 'step.completed' && JSON.stringify(end.data) === '{"result":"overtaken"}') {
          const failed = { ...end, type: 'step.failed', data: { error } }
          stored.push(Promise.resolve(kernel.port('events').append(stream, [failed], { run: options.run })))
          await stored[0]
        }
        await next()
      })
      const jobs = await kernel.enqueueMany(['first', 'overtaken', 'last'].map((data) => ({ worker: 'w', data })))
      expect(await reach(jobs[2]!, 'completed')).toMatchObject({ result: 'last' })
      expect(await reach(jobs[0]!, 'completed')).toMatchObject({ result: 'first' })
      expect(await reach(jobs[1]!, 'failed')).toMatchObject({ error })
      expect(await types(jobs[1]!.runId)).toEqual(['step.started', 'step.failed'])
      expect({ started, atOnce }).toEqual({ started: ['first', 'overtaken', 'last'], atOnce: 1 })
    }),
  )

  it(
    'ends a job once whose completion is stored although a hook behind it fails',
    test(async ({ kernel, start, reach, types, until }) => {
      const started: unknown[] = []
      await start({
        w({ data }) {
          started.push(data)
          return data
        },
      })
      let failures = 0
      kernel.hook('emit', async ({ events }, next) => {
        await next()
        if (events.at(-1)?.type !== 'step.completed') return
        failures++
        throw new Error('too late')
      })
      const job = await kernel.enqueue('w', 'once')
      expect(await reach(job, 'completed')).toMatchObject({ result: 'once' })
      await until('the hook has failed', () => failures > 0)
      expect(await types(job.runId)).toEqual(['step.started', 'step.completed'])
      expect(started).toEqual(['once'])
    }),
  )

  it(
    'waits on close for an attempt whose completion is stored while a hook still works with it',
    test(async ({ kernel, start, until, reports }) => {
      await start({ w: ({ data }) => data })
      const hooked = Promise.withResolvers<void>()
      let stored = false
      kernel.hook('emit', async ({ events }, next) => {
        await next()
        if (events.at(-1)?.type !== 'step.completed') return
        stored = true
        await hooked.promise
      })
      await kernel.enqueue('w')
      await until('the completion is stored', () => stored)
      const closing = kernel.close()
      // The hook takes longer than queues take to close.
      setTimeout(hooked.resolve, 200)
      expect(await closing).toEqual({ aborted: [] })
      expect(reports.filter(({ message }) => message.startsWith('Closed after'))).toEqual([])
    }),
  )
}
