import { expect, it } from 'vitest'
import { z } from 'zod'
import { entry, step } from './flow-workers.ts'
import type { PresetTest } from './rig.ts'

/** Tests the list of instances and their workers. */
export function instanceTests(test: PresetTest): void {
  const registered = (events: readonly { type: string }[]): number =>
    events.filter(({ type }) => type === 'worker.registered').length

  it(
    'lists the workers of an instance and the versions of their flows, until its heartbeats stop',
    test(
      async ({ kernel, start, events, until, elapse }) => {
        await start({
          first: entry(() => {}, { flow: { name: 'f', role: 'entry', version: '7' } }),
          next: step({ subscribes: 'x' }, () => {}, {
            concurrency: 3,
            rateLimit: { limit: 5, period: 1000 },
            timeout: 900,
          }),
        })
        const [self, ...others] = await until('it is registered', async () => {
          const found = await kernel.instances()
          return found.length > 0 && found
        })
        expect(others).toEqual([])
        expect(self!.memory).toBeGreaterThan(1024 * 1024)
        expect(self).toMatchObject({
          pid: process.pid,
          flows: { f: '7' },
          missing: [],
          version: expect.stringMatching(/^\d+\.\d+/),
        })
        expect(self!.workers).toEqual([
          {
            id: 'first',
            queue: 'first',
            name: 'first',
            runtime: 'node',
            concurrency: 1,
            flows: [{ flow: 'f', role: 'entry', step: 'first' }],
          },
          {
            id: 'next',
            queue: 'next',
            name: 'next',
            runtime: 'node',
            concurrency: 3,
            limits: { rate: { limit: 5, period: 1000, byKey: false }, timeout: 900 },
            flows: [{ flow: 'f', role: 'step', step: 'next' }],
          },
        ])
        await kernel.registerWorker({ id: 'late', config: { queue: 'late' }, handler: () => {} })
        await until('the new instance is notified', async () => (await kernel.instances())[0]?.workers.length === 3)
        expect(registered(await events('registry'))).toBe(2)
        await until('it sends heartbeats', async () =>
          (await events('registry')).some(({ type }) => type === 'worker.heartbeat'),
        )

        const [sign] = await events('registry')
        const other = (id: string) => ({ ...(sign!.data as object), id, startedAt: 0 })
        const silent = { ...other('silent'), heartbeat: 1 }
        await kernel.port('events').append('registry', [
          { type: 'worker.registered', data: silent },
          { type: 'worker.registered', data: { ...other('stopped'), heartbeat: 60_000 } },
          { type: 'worker.registered', data: { ...other('alive'), heartbeat: 60_000 } },
          { type: 'worker.stopped', data: { ...other('stopped'), heartbeat: 60_000 } },
        ])
        await elapse(10)
        const ids = (await kernel.instances()).map(({ id }) => id)
        expect(ids).toEqual(['alive', self!.id])
      },
      { instances: { heartbeat: 300 } },
    ),
  )

  it(
    'reports once that a deployment has removed a step that open runs need',
    test(
      async ({ kernel, start, event, events, reports, until }) => {
        const gone = { type: 'step.queued', flow: 'f', step: 'gone', data: {} }
        for (const runId of ['one', 'two']) {
          const begun = { step: 'first', input: 1, version: '1' }
          const started = {
            type: 'flow.started',
            key: 'flow.started',
            flow: 'f',
            stepId: `${runId}.first`,
            data: begun,
          }
          const ended = { type: 'step.completed', key: `end:${runId}.first`, flow: 'f', step: 'first', data: {} }
          const history = [started, { ...ended, stepId: `${runId}.first` }, { ...gone, stepId: `${runId}.gone.c` }]
          await kernel.port('events').append(runId, history, { run: { name: 'f', flow: 'f' } })
        }
        await start({ first: entry(() => 'done') })
        const flowReports = () =>
          reports.filter(({ detail }) => (detail as { code?: string })?.code === 'FLOW_STEP_MISSING')
        await until('it is reported', () => flowReports().length > 0)
        expect(flowReports()[0]).toMatchObject({
          level: 'warn',
          message: expect.stringMatching(/flow "f" need step "gone"/) as string,
          detail: { details: { flow: 'f', step: 'gone', runs: expect.arrayContaining(['one', 'two']) as string[] } },
        })
        const missing = [{ flow: 'f', step: 'gone', runs: 2 }]
        await until('it is listed', async () => (await kernel.instances())[0]?.missing.length === 1)
        expect((await kernel.instances())[0]).toMatchObject({ missing })
        await kernel.registerWorker({ id: 'late', config: { queue: 'late' }, handler: () => {} })
        await until('it is registered again', async () => registered(await events('registry')) === 2)
        const { runId } = await kernel.flow('f').start()
        await event(runId, 'end')
        expect(flowReports()).toHaveLength(1)
      },
      { instances: { heartbeat: 60_000 } },
    ),
  )

  it(
    'finds jobs and runs that the workers of a new version cannot carry on',
    test(async ({ kernel, start, until }) => {
      await start({
        first: entry(async (_job, ctx) => ctx.step.sleep('a day', 86_400_000)),
        kept: [{ input: z.object({ to: z.string() }) }, () => {}],
        gone: () => {},
      })
      await kernel.flow('f').start()
      await until('the run waits', async () => (await kernel.countJobs({ states: ['delayed'] })).counts.delayed === 1)
      for (const worker of ['kept', 'gone']) await kernel.enqueue(worker, { to: 'Ada' }, { delay: 86_400_000 })
      const checks = async (): Promise<string[]> => (await kernel.checkDeploy()).map(({ check }) => check).toSorted()
      expect(await checks()).toEqual(['deploy'])
      await kernel.unregisterWorker('gone')
      await kernel.unregisterWorker('first')
      const input = z.object({ to: z.object({ name: z.string() }) })
      await kernel.registerWorker({ id: 'kept', config: { queue: 'kept', input }, handler() {} }, { replace: true })
      expect(await checks()).toEqual(['flows.graph', 'jobs.input', 'jobs.worker', 'jobs.worker'])
    }),
  )

  it(
    'keeps a run on the version of its flow while another instance with that version runs',
    test(
      async ({ kernel, start, event, events, until }) => {
        const flow = { name: 'f', role: 'entry', pin: true } as const
        const ran: unknown[] = []
        await start({
          first: entry((_job, ctx) => ctx.flow.emit('x'), { flow: { ...flow, version: '1' } }),
          next: step({ subscribes: 'x' }, (job) => void ran.push(job.data)),
        })
        await kernel.queue('next').pause()
        const { runId } = await kernel.flow('f').start()
        const job = await until('the step is queued', async () => (await kernel.queue('next').jobs())[0])
        const second = { queue: 'first', flow: { ...flow, version: '2' } }
        await kernel.registerWorker({ id: 'first', config: second, handler() {} }, { replace: true })
        const [sign] = await until('it is registered', async () => {
          const found = await events('registry')
          return found.length > 0 && found
        })
        const other = { ...(sign!.data as object), id: 'other', flows: { f: '1' } }
        await kernel.port('events').append('registry', [{ type: 'worker.registered', data: other }])
        await kernel.queue('next').resume()
        await until('it is deferred', async () => (await events(runId)).some(({ type }) => type === 'step.deferred'))
        await until('it waits', async () => (await kernel.explain(job)).reasons[0]!.code === 'pinned')
        expect((await kernel.explain(job)).reasons).toMatchObject([{ code: 'pinned', flow: 'f', version: '1' }])
        expect(ran).toEqual([])
        await kernel.port('events').append('registry', [{ type: 'worker.stopped', data: other }])
        await event(runId, 'end')
        expect(ran).toHaveLength(1)
      },
      { instances: { heartbeat: 60_000 } },
    ),
  )

  it(
    'sends no heartbeats if they are turned off',
    test(
      async ({ kernel, start, reach, events }) => {
        await start({ work: () => {} })
        await reach(await kernel.enqueue('work'), 'completed')
        expect(await events('registry')).toEqual([])
        expect(await kernel.instances()).toEqual([])
      },
      { instances: { heartbeat: 0 } },
    ),
  )
}
