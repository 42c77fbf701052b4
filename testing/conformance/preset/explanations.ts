import { expect, it } from 'vitest'
import type { ReasonCode } from '../../../plugins/observability/explain/index.ts'
import { codeOf } from '../harness.ts'
import { entry, step } from './flow-workers.ts'
import type { Handler, PresetTest, Worker } from './rig.ts'

/** Tests the explanations of why jobs do not run, and of what happened in runs. */
export function explanationTests(test: PresetTest): void {
  const fails: Handler = () => {
    throw new Error('broken')
  }

  it(
    'explains a job that is paused, delayed, has no worker, or does not exist',
    test(async ({ kernel, start, reach, now }) => {
      await start({ work: () => 'done' })
      const codes = async (job: Parameters<typeof kernel.explain>[0]): Promise<ReasonCode[]> =>
        (await kernel.explain(job)).reasons.map(({ code }) => code)
      await kernel.port('queue').pause('work')
      const paused = await kernel.enqueue('work')
      expect(await codes(paused)).toEqual(['queue-paused'])
      const urgent = await kernel.enqueue('work', null, { priority: 5 })
      const behind = await kernel.explain(paused)
      expect(behind).toMatchObject({ queue: 'work', name: 'work', runId: paused.runId, state: 'waiting' })
      expect(behind.reasons).toMatchObject([{ code: 'queue-paused' }, { code: 'behind', jobs: 1, more: false }])
      expect(await codes(urgent)).toEqual(['queue-paused'])
      for (const fairKey of ['a', 'a', 'a', 'b']) await kernel.enqueue('work', null, { fairKey })
      const fair = await kernel.enqueue('work', null, { fairKey: 'b' })
      expect((await kernel.explain(fair)).reasons[1]).toMatchObject({ code: 'behind', jobs: 5, turn: 2 })
      await kernel.port('queue').resume('work')
      await reach(paused, 'completed')

      const soon = now() + 60_000
      const delayed = await kernel.enqueue('work', null, { delay: new Date(soon) })
      expect((await kernel.explain(delayed)).reasons).toEqual([
        { code: 'delayed', until: soon, sentence: expect.stringContaining(new Date(soon).toISOString()) as string },
      ])
      const stranger = await kernel.enqueue({ queue: 'elsewhere', name: 'other' })
      expect(await codes(stranger)).toEqual(['no-worker'])
      expect((await kernel.explain(stranger.id)).queue).toBe('elsewhere')
      expect(await codes('nobody')).toEqual(['unknown'])
      expect(await codes({ queue: 'work', id: 'nobody' })).toEqual(['unknown'])
      expect(await codeOf(() => kernel.explain({ id: 'x' } as never))).toBe('OPTION_INVALID')
    }),
  )

  it(
    'explains a job that waits for a limit of its queue, or for another job of a singleton',
    test(async ({ kernel, start, reach, until }) => {
      const gates = new Map<unknown, () => void>()
      const work: Handler = ({ data }) => new Promise<void>((resolve) => void gates.set(data, resolve))
      await start({ work: [{ concurrency: 3 }, work], single: [{ concurrency: 3, singleton: true }, work] })
      const codes = async (job: Parameters<typeof kernel.explain>[0]): Promise<ReasonCode[]> =>
        (await kernel.explain(job)).reasons.map(({ code }) => code)
      const begun = (data: string) => until(`"${data}" has begun`, () => gates.has(data))
      await kernel.queue('work').setLimits({ concurrency: 1 })
      const first = await kernel.enqueue('work', 'first')
      await begun('first')
      const second = await kernel.enqueue('work', 'second')
      expect(await codes(second)).toEqual(['queue-concurrency'])
      await kernel.queue('work').setLimits({ concurrency: null, rate: { limit: 1, period: 600_000 } })
      await begun('second')
      const third = await kernel.enqueue('work', 'third')
      expect((await kernel.explain(third)).reasons).toMatchObject([{ code: 'queue-rate', limit: 1, period: 600_000 }])
      for (const data of ['first', 'second']) gates.get(data)!()
      for (const job of [first, second]) await reach(job, 'completed')

      const one = await kernel.enqueue('single', 'one')
      await begun('one')
      const two = await kernel.enqueue('single', 'two')
      await until('it waits', async () => (await codes(two))[0] === 'singleton')
      expect(gates.has('two')).toBe(false)
      gates.get('one')!()
      await reach(one, 'completed')
      await begun('two')
      gates.get('two')!()
      await reach(two, 'completed')
    }),
  )

  it(
    'explains a job whose worker runs in another process',
    test(async ({ kernel, sibling, start, until }) => {
      const other = await sibling()
      await start({})
      await other.registerWorker({ id: 'remote', config: { queue: 'remote' }, handler: () => {} })
      await other.port('queue').pause('remote')
      await other.start()
      const job = await kernel.enqueue({ queue: 'remote', name: 'remote' })
      const codes = async () => (await kernel.explain(job)).reasons.map(({ code }) => code).join()
      await until('the other process is known', async () => (await codes()) === 'queue-paused')
    }),
  )

  it(
    'explains a job before the kernel is started',
    test(async ({ kernel }) => {
      await kernel.registerWorker({ id: 'idle', config: { queue: 'idle' }, handler: () => {} })
      const job = await kernel.enqueue('idle')
      expect((await kernel.explain(job)).reasons).toMatchObject([{ code: 'not-started', worker: 'idle' }])
    }),
  )

  it(
    'explains a job that runs, waits for a permit, or has ended',
    test(async ({ kernel, start, reach }) => {
      const gate = Promise.withResolvers<void>()
      await start({
        slow: () => gate.promise.then(() => 'done'),
        bad: [{ attempts: 2, backoff: 60_000 }, fails],
        worse: fails,
      })
      const runs = await kernel.enqueue('slow')
      await reach(runs, 'active')
      const waits = await kernel.enqueue('slow')
      expect((await kernel.explain(runs)).reasons).toMatchObject([
        { code: 'active', attempt: 1, attempts: 1, crashes: 0 },
      ])
      expect((await kernel.explain(waits)).reasons).toMatchObject([{ code: 'busy', running: 1, concurrency: 1 }])
      gate.resolve()
      await reach(waits, 'completed')
      expect((await kernel.explain(waits)).reasons).toMatchObject([{ code: 'ended', outcome: 'completed' }])

      const retried = await kernel.enqueue('bad')
      const { runAt } = await reach(retried, 'delayed')
      const backoff = { code: 'backoff', attempt: 1, attempts: 2, until: runAt, error: { message: 'broken' } }
      expect((await kernel.explain(retried)).reasons).toMatchObject([backoff])
      await kernel.cancel(retried, { reason: 'enough' })
      expect((await kernel.explain(retried)).reasons).toMatchObject([
        { code: 'ended', outcome: 'cancelled', reason: 'enough' },
      ])
      const failed = await kernel.enqueue('worse')
      await reach(failed, 'failed')
      const ended = { code: 'ended', outcome: 'failed', error: { message: 'broken' } }
      expect((await kernel.explain(failed)).reasons).toMatchObject([ended])
      await kernel.port('queue').remove('worse', failed.id)
      expect(await kernel.explain(failed)).toMatchObject({ id: failed.id, reasons: [ended] })
    }),
  )

  it(
    'explains which limit a job has reached',
    test(async ({ kernel, start, reach }) => {
      const gate = Promise.withResolvers<void>()
      const limited = (config: object): Worker => [{ concurrency: 3, ...config }, () => gate.promise]
      await start({ keyed: limited({}), rated: limited({ rateLimit: { max: 1, duration: 60_000 } }) })
      const options = { concurrencyKey: 'ada' }
      const first = await kernel.enqueue('keyed', 1, options)
      await reach(first, 'active')
      const second = await kernel.enqueue('keyed', 2, options)
      await reach(second, 'delayed')
      expect((await kernel.explain(second)).reasons).toMatchObject([
        { code: 'concurrency-key', key: 'ada', running: [first.id], ahead: 0 },
      ])
      const byKey = { rateLimitKey: 'ada' }
      await reach(await kernel.enqueue('rated', 1, byKey), 'active')
      const late = await kernel.enqueue('rated', 2, byKey)
      await reach(late, 'delayed')
      expect((await kernel.explain(late)).reasons).toMatchObject([{ code: 'rate-limit', key: 'ada' }])

      await reach(await kernel.enqueue('rated', 3), 'active')
      const holder = await kernel.enqueue('rated', 4)
      const { runAt: until } = await reach(holder, 'delayed')
      const held = await kernel.enqueue('rated', 5)
      expect((await kernel.explain(held)).reasons).toMatchObject([{ code: 'queue-held', until }])
      gate.resolve()
    }),
  )

  it(
    'explains what a job waits for',
    test(async ({ kernel, start, reach, event }) => {
      await start({
        sleeps: async (_job, ctx) => ctx.step.sleep('nap', 60_000),
        listens: async (_job, ctx) => {
          await ctx.step.waitForEvent('paid', { event: 'payment', key: '7', timeout: 50_000 })
        },
        puts: (_job, ctx) => ctx.defer({ delay: 60_000 }),
        calm: [{ debounce: { key: 'k', delay: 60_000 } }, () => {}],
      })
      const reasonsOf = async (id: string): Promise<object[]> => {
        const job = await kernel.enqueue(id)
        await reach(job, 'delayed')
        return (await kernel.explain(job)).reasons
      }
      expect(await reasonsOf('sleeps')).toMatchObject([{ code: 'awaiting', name: 'nap', parts: [{ type: 'time' }] }])
      const parts = [{ type: 'event', event: 'payment', key: '7' }]
      expect(await reasonsOf('listens')).toMatchObject([
        { code: 'awaiting', name: 'paid', parts, until: expect.any(Number) as number },
      ])
      expect(await reasonsOf('puts')).toMatchObject([{ code: 'deferred' }])
      expect(await reasonsOf('calm')).toMatchObject([{ code: 'debounced', key: 'k' }])

      const { runId, id } = await kernel.enqueue('sleeps')
      await event(runId, `awaiting:${id}:nap`)
      expect((await kernel.timeline(runId)).jobs).toMatchObject([{ step: 'sleeps', waits: [{ name: 'nap' }] }])
    }),
  )

  it(
    'explains which steps, joins and fan-outs a run waits for',
    test(async ({ kernel, start, event, until }) => {
      const gate = Promise.withResolvers<void>()
      await start({
        split: entry(async (_job, ctx) => {
          for (const n of [1, 2]) await ctx.flow.emit('part', n)
          await ctx.flow.emit('left')
        }),
        part: step({ subscribes: 'part' }, () => gate.promise, { concurrency: 2 }),
        right: step({ subscribes: 'part.done' }, (_job, ctx) => ctx.flow.emit('right')),
        sum: step({ subscribes: 'part.done', gather: 'part' }, () => {}),
        both: step({ subscribes: ['left', 'right'] }, () => {}),
      })
      const flow = kernel.flow('f')
      const { runId } = await flow.start()
      await event(runId, 'flow.started')
      await until('both parts run', async () => {
        const started = (await flow.explain(runId)).jobs.filter(
          (job) => job.status === 'started' && job.step === 'part',
        )
        return started.length === 2
      })
      const { jobs, joins, gathers, ...run } = await flow.explain(runId)
      expect(run).toMatchObject({ runId, status: 'running', phase: 'running' })
      expect(jobs).toMatchObject([
        { step: 'part', queue: 'part' },
        { step: 'part', queue: 'part' },
      ])
      expect((await kernel.explain({ queue: 'part', id: jobs[0]!.id })).reasons[0]?.code).toBe('active')
      expect(joins).toEqual([{ step: 'both', arrived: ['left'], missing: ['right'], needs: 2 }])
      expect(gathers).toMatchObject([{ steps: ['sum'], event: 'part', open: 2, closed: true }])
      expect(run.sentences).toContain('Join "both" has "left" and waits for 1 of "right".')
      gate.resolve()
      await event(runId, 'end')
      expect(await flow.explain(runId)).toMatchObject({ phase: 'ended', jobs: [], gathers: [] })
      const place = { runId, flow: { name: 'f', step: 'late' } }
      const late = await kernel.enqueue({ queue: 'elsewhere', name: 'late' }, null, place)
      const reasons = [{ code: 'run-ended', runId, status: 'completed' }, { code: 'no-worker' }]
      expect((await kernel.explain(late)).reasons).toMatchObject(reasons)
      expect(await codeOf(() => flow.explain('nobody'))).toBe('RUN_NOT_FOUND')
    }),
  )

  it(
    'explains what happened in a run, job by job, with the runs it started',
    test(async ({ kernel, start, event, events, elapse, until }) => {
      const gate = Promise.withResolvers<void>()
      await start({
        order: entry(
          async (job, ctx) => {
            await ctx.logger.info('one')
            await ctx.logger.warn('two')
            await ctx.step.run('part', () => elapse(20))
            if (job.attempt === 1) throw new Error('once')
            const invoice = await ctx.flow.start('invoice', 'x', { wait: true })
            await ctx.flow.emit('ordered', invoice)
            return invoice
          },
          { attempts: 2 },
        ),
        ship: step({ subscribes: 'ordered', onError: 'continue' }, fails),
        invoice: [{ flow: { name: 'invoice', role: 'entry' } }, () => gate.promise.then(() => 'paid')],
      })
      const { runId } = await kernel.flow('f').start('sku')
      await until('it waits', async () => (await events(runId)).some(({ type }) => type === 'step.deferred'))
      gate.resolve()
      await event(runId, 'end')
      const { run, jobs, input, duration } = await kernel.timeline(runId)
      expect(run).toMatchObject({ runId, status: 'completed', flow: 'f' })
      expect(input).toBe('sku')
      expect(duration).toBe(run.endedAt! - run.startedAt)
      const [order, ship, ...others] = jobs
      expect(others).toEqual([])
      expect(order).toMatchObject({
        jobId: `${runId}.order`,
        step: 'order',
        queue: 'order',
        status: 'completed',
        result: 'paid',
        attempts: [
          { attempt: 1, outcome: 'failed', error: { message: 'once' } },
          { attempt: 2, outcome: 'deferred' },
          { attempt: 2, outcome: 'completed' },
        ],
        waits: [{ name: 'invoice#1', mode: 'one', timedOut: false }],
        subSteps: [{ name: 'part' }],
        emits: [{ event: 'ordered' }],
        logs: { info: 3, warn: 3 },
        children: [{ flow: 'invoice', waits: true }],
      })
      expect(order!.attempts[0]!.duration).toBeGreaterThanOrEqual(20)
      expect(order!.duration).toBe(order!.endedAt! - order!.startedAt!)
      expect(order!.waits[0]!.duration).toBeGreaterThanOrEqual(0)
      const child = order!.children[0]!
      expect(child.timeline).toMatchObject({ run: { runId: child.runId }, jobs: [{ step: 'invoice', result: 'paid' }] })
      expect(ship).toMatchObject({ step: 'ship', status: 'failed', error: { message: 'broken' } })
      expect(ship!.queued).toBe(ship!.startedAt! - ship!.queuedAt!)
      expect((await kernel.timeline(runId, { depth: 0 })).jobs[0]!.children[0]).not.toHaveProperty('timeline')
      const fork = await kernel.flow('f').rerunFrom(runId, 'ship')
      await event(fork.runId, 'end')
      const timeline = await kernel.timeline(fork.runId)
      expect(timeline).toMatchObject({
        forkedFrom: { runId },
        jobs: [{ step: 'order', copied: true }, { step: 'ship' }],
      })
      expect(timeline.jobs[1]).not.toHaveProperty('copied')
      expect(await codeOf(() => kernel.timeline('nobody'))).toBe('RUN_NOT_FOUND')
    }),
  )
}
