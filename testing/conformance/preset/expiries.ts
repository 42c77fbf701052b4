import { expect, it } from 'vitest'
import { codeOf } from '../harness.ts'
import type { PresetTest } from './rig.ts'

/** Tests jobs that wait longer than they may. */
export function expiryTests(test: PresetTest): void {
  it(
    'fails a job that has waited too long when it would begin, and no job that has begun',
    test(async ({ kernel, start, reach, until, elapse, events }) => {
      const ran: unknown[] = []
      const gate = Promise.withResolvers<void>()
      await start({
        w: ({ data }) => void ran.push(data),
        keyed: [
          { concurrency: 2, concurrencyPerKey: { key: 'all', limit: 1 } },
          async ({ data }) => {
            ran.push(data)
            if (data === 'long') await gate.promise
          },
        ],
        sleeper: [{ expiresIn: 60_000 }, (_job, ctx) => ctx.step.sleep('nap', 60)],
        entry: [{ flow: { name: 'order', role: 'entry', emits: ['placed'] } }, (_job, ctx) => ctx.flow.emit('placed')],
        ship: [
          { flow: { name: 'order', role: 'step', subscribes: 'placed', emits: ['shipped'] }, expiresIn: 50 },
          () => void ran.push('ship'),
        ],
      })
      for (const queue of ['w', 'ship']) await kernel.port('queue').pause(queue)
      const late = await kernel.enqueue('w', 'late', { expiresIn: 50, attempts: 3 })
      const patient = await kernel.enqueue('w', 'patient', { expiresIn: 600_000 })
      const delayed = await kernel.enqueue('w', 'delayed', { expiresIn: 600_000, delay: 60 })
      const run = await kernel.flow('order').start(null)
      const shipping = await until('the step is queued', async () => {
        const [job] = await kernel.port('queue').getJobs({ queue: 'ship' })
        return job
      })
      // It waits for a permit, and ends when it expires although it has none.
      await kernel.enqueue('keyed', 'long')
      await until('the permit is in use', () => ran.includes('long'))
      // Long enough for a busy machine to try to start it before.
      const held = await kernel.enqueue('keyed', 'held', { expiresIn: 1000 })
      expect((await reach(held, 'failed')).error).toMatchObject({ code: 'JOB_EXPIRED' })
      gate.resolve()
      await elapse(60)
      expect((await kernel.explain(late)).reasons[0]).toMatchObject({ code: 'expired', expiresIn: 50 })
      for (const queue of ['w', 'ship']) await kernel.port('queue').resume(queue)
      expect((await reach(late, 'failed')).error).toMatchObject({ code: 'JOB_EXPIRED' })
      await expect(kernel.result(late)).rejects.toMatchObject({ code: 'JOB_EXPIRED' })
      for (const job of [patient, delayed]) await reach(job, 'completed')
      expect((await reach(shipping, 'failed')).error).toMatchObject({ code: 'JOB_EXPIRED' })
      await until(
        'the run has failed',
        async () => (await kernel.port('events').runs.get(run.runId))?.status === 'failed',
      )
      expect(new Set(ran)).toEqual(new Set(['delayed', 'long', 'patient']))
      const started = (await events(held.runId)).filter(({ type }) => type === 'step.started')
      expect(started.map(({ data }) => (data as { expired?: boolean }).expired)).toEqual([undefined, true])

      const sleeper = await kernel.enqueue('sleeper', null, { expiresIn: 600_000 })
      await reach(sleeper, 'completed')
      expect(await codeOf(() => kernel.enqueue('w', 0, { expiresIn: 0 }))).toBe('OPTION_INVALID')
      const counted = await until('all is counted', async () => {
        const { series } = await kernel.stats()
        const expired = series.reduce((sum, point) => sum + point.expired, 0)
        return expired >= 3 && expired
      })
      expect(counted).toBe(3)
    }),
  )
}
