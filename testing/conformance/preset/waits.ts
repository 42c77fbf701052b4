import { expect, it } from 'vitest'
import type { AwaitRegistration } from '../../../plugins/flow/wait/index.ts'
import type { WorkerConfig } from '../../../kernel/index.ts'
import { codeOf } from '../harness.ts'
import { entry, step } from './flow-workers.ts'
import type { Handler, PresetTest } from './rig.ts'

/** Tests steps that wait before or after their handler. */
export function waitTests(test: PresetTest): void {
  const webhooks = { webhooks: { baseUrl: 'https://example.com/_queue/' } }

  it(
    'waits for a time before a step, without occupying a process',
    test(async ({ kernel, start, event, events, now }) => {
      await start({
        first: entry((_job, ctx) => ctx.flow.emit('next')),
        later: step({ subscribes: 'next' }, (_job, ctx) => ctx.awaited, { awaitBefore: { type: 'time', delay: 150 } }),
      })
      const begun = now()
      const { runId } = await kernel.flow('f').start()
      expect((await event(runId, 'end')).data).toEqual({ result: { payload: undefined, timedOut: false } })
      expect(now() - begun).toBeGreaterThanOrEqual(150)
      const told = (await events(runId)).filter(({ step: name }) => name === 'later').map(({ type }) => type)
      const waits = ['step.started', 'step.awaiting', 'step.deferred', 'step.started', 'step.resumed']
      expect(told).toEqual(['step.queued', ...waits, 'step.completed'])
    }),
  )

  it(
    'waits for the next moment of a schedule',
    test(async ({ kernel, start, event, events, now }) => {
      await start({ only: entry(() => now(), { awaitBefore: { type: 'schedule', cron: '* * * * * *' } }) })
      const begun = now()
      const { runId } = await kernel.flow('f').start()
      const { result } = (await event(runId, 'end')).data as { result: number }
      const { ts, data } = (await events(runId)).find(({ type }) => type === 'step.awaiting')!
      const { at } = (data as { parts: [{ at: number }] }).parts[0]
      // A second may end between the start and the wait. From the wait on, the next second counts.
      expect(at % 1000).toBe(0)
      expect(at).toBeGreaterThan(begun)
      expect(at - ts).toBeLessThanOrEqual(1000)
      expect(result).toBeGreaterThanOrEqual(at)
    }),
  )

  it(
    'waits for the event of its own order and ignores the events of others',
    test(async ({ kernel, start, event, until }) => {
      await start({
        place: entry(({ data }, ctx) => ctx.flow.emit('placed', data)),
        ship: step({ subscribes: 'placed' }, (_job, ctx) => ctx.awaited?.payload, {
          awaitBefore: { type: 'event', event: 'paid', match: 'order' },
        }),
      })
      const runs = await Promise.all([1, 2].map((order) => kernel.flow('f').start({ order })))
      for (const { runId } of runs) {
        await until('it waits', async () =>
          (await kernel.port('events').read(runId)).some(({ type }) => type === 'step.deferred'),
        )
      }
      await kernel.sendEvent('paid', { order: 2, amount: 20 })
      expect((await event(runs[1]!.runId, 'end')).data).toEqual({ result: { order: 2, amount: 20 } })
      await kernel.sendEvent('paid', { order: 1, amount: 10 })
      expect((await event(runs[0]!.runId, 'end')).data).toEqual({ result: { order: 1, amount: 10 } })
    }),
  )

  it(
    'accepts an event that came before the wait, but none from before its run',
    test(async ({ kernel, start, event, reach, elapse }) => {
      const gate = Promise.withResolvers<void>()
      await start({
        place: entry(async ({ data }, ctx) => {
          await gate.promise
          await ctx.flow.emit('placed', data)
        }),
        ship: step({ subscribes: 'placed' }, (_job, ctx) => ctx.awaited, {
          awaitBefore: {
            type: 'event',
            event: 'paid',
            match: (job: { data: unknown }) => String(job.data),
            timeout: 300,
            timeoutAction: 'continue',
          },
        }),
      })
      const early = await kernel.sendEvent('paid', 'too early', { key: 'b' })
      await reach(early, 'completed')
      await elapse(5)
      const [a, b] = await Promise.all(['a', 'b'].map((order) => kernel.flow('f').start(order)))
      await event(a!.runId, 'flow.started')
      const meanwhile = await kernel.sendEvent('paid', 'meanwhile', { key: 'a' })
      await reach(meanwhile, 'completed')
      gate.resolve()
      expect((await event(a!.runId, 'end')).data).toEqual({ result: { payload: 'meanwhile', timedOut: false } })
      expect((await event(b!.runId, 'end')).data).toEqual({ result: { timedOut: true } })
    }),
  )

  it(
    'keeps events without a waiter out of the index of runs and out of subscriptions to all runs',
    test(async ({ kernel, start, reach }) => {
      await start({})
      const seen: string[] = []
      const leave = await kernel.streams.follow(
        '*',
        {},
        {
          onEvents: (events) => void seen.push(...events.map(({ runId }) => runId)),
        },
      )
      const sent = await Promise.all(['a', 'b', undefined].map((key) => kernel.sendEvent('unheard', 1, { key })))
      for (const job of sent) await reach(job, 'completed')
      const runs = await kernel.port('events').runs.list({ limit: 1000 })
      expect(runs.map(({ queue }) => queue)).not.toContain('_wait')
      expect(await kernel.port('events').runs.list({ status: 'running' })).toEqual([])
      expect(seen.filter((stream) => stream.startsWith('_'))).toEqual([])
      expect((await kernel.port('queue').getJobs({ queue: '_wait' })).length).toBeLessThanOrEqual(6)
      leave()
    }),
  )

  it(
    'ignores events that do not match',
    test(async ({ kernel, start, event }) => {
      await start({
        only: entry((_job, ctx) => ctx.awaited?.payload, {
          awaitBefore: { type: 'event', event: 'price', filter: (payload: unknown) => Number(payload) > 10 },
        }),
      })
      const { runId } = await kernel.flow('f').start()
      await event(runId, `awaiting:${runId}.only:(before)`)
      for (const price of [5, 8, 12, 20]) await kernel.sendEvent('price', price)
      expect((await event(runId, 'end')).data).toEqual({ result: 12 })
    }),
  )

  it(
    'uses a new event for each consecutive wait of a run, and the same event for simultaneous waits',
    test(async ({ kernel, start, event, until }) => {
      await start({
        both: entry(async (_job, ctx) => {
          await ctx.flow.emit('a')
          await ctx.flow.emit('b')
        }),
        a: step({ subscribes: 'a' }, (_job, ctx) => ctx.flow.emit('a.done', ctx.awaited?.payload), {
          awaitBefore: { type: 'event', event: 'tick' },
        }),
        b: step({ subscribes: 'b' }, (_job, ctx) => ctx.flow.emit('b.done', ctx.awaited?.payload), {
          awaitBefore: { type: 'event', event: 'tick' },
        }),
        last: step(
          { subscribes: ['a.done', 'b.done'] },
          ({ data }, ctx) => ({ ...(data as object), c: ctx.awaited?.payload }),
          {
            awaitBefore: { type: 'event', event: 'tick' },
          },
        ),
      })
      const { runId } = await kernel.flow('f').start()
      const waiting = async (count: number): Promise<void> => {
        await until(`${count} waits have begun`, async () => {
          const told = await kernel.port('events').read(runId, { types: ['step.awaiting'] })
          return told.length === count
        })
      }
      await waiting(2)
      await kernel.sendEvent('tick', 1, { id: 'first' })
      await waiting(3)
      await kernel.sendEvent('tick', 1, { id: 'first' })
      await kernel.sendEvent('tick', 2)
      expect((await event(runId, 'end')).data).toEqual({ result: { 'a.done': 1, 'b.done': 1, c: 2 } })
    }),
  )

  it(
    'accepts the first request of a wait, and rejects later requests',
    test(async ({ kernel, start, event }) => {
      const registered = Promise.withResolvers<AwaitRegistration>()
      const resolved: unknown[] = []
      await start({
        only: entry((_job, ctx) => ctx.awaited?.payload, {
          awaitBefore: { type: 'webhook' },
          onAwaitRegister: (registration: AwaitRegistration) => registered.resolve(registration),
          onAwaitResolve: (awaited: unknown) => void resolved.push(awaited),
        }),
      })
      const { runId } = await kernel.flow('f').start()
      const { url, stage } = await registered.promise
      expect(stage).toBe('before')
      const post = (body: object) =>
        kernel.webhooks.fetch(
          new Request(url!, {
            method: 'POST',
            body: JSON.stringify(body),
            headers: { 'content-type': 'application/json' },
          }),
        )
      expect((await kernel.webhooks.fetch(new Request(url!, { method: 'HEAD' }))).status).toBe(405)
      expect((await post({ approved: true })).status).toBe(202)
      expect((await event(runId, 'end')).data).toEqual({ result: { approved: true } })
      expect(resolved).toEqual([{ payload: { approved: true }, timedOut: false }])
      const late = await post({ approved: false })
      expect(late.status).toBe(409)
      expect(await late.json()).toMatchObject({ error: { code: 'WAIT_OVER' } })
      expect((await kernel.webhooks.fetch(new Request(`${url!.slice(0, -4)}0000`, { method: 'POST' }))).status).toBe(
        404,
      )
    }, webhooks),
  )

  it(
    'fails, continues or skips the step on timeout',
    test(async ({ kernel, start, event, types }) => {
      const ran: string[] = []
      const wait = (timeoutAction: 'fail' | 'continue' | 'skip'): WorkerConfig => ({
        awaitBefore: { type: 'event', event: 'never', timeout: 60, timeoutAction },
      })
      await start({
        split: entry(async (_job, ctx) => {
          for (const name of ['skip', 'continue']) await ctx.flow.emit(name)
        }),
        skip: step({ subscribes: 'skip' }, () => void ran.push('skip'), wait('skip')),
        continue: step(
          { subscribes: 'continue' },
          (_job, ctx) => void ran.push(`${ctx.awaited?.timedOut}`),
          wait('continue'),
        ),
        hard: [{ flow: { name: 'g', role: 'entry' }, ...wait('fail') }, () => void ran.push('hard')],
      })
      const { runId } = await kernel.flow('f').start()
      expect((await event(runId, 'end')).type).toBe('flow.completed')
      expect(ran).toEqual(['true'])
      expect((await types(runId)).filter((type) => type === 'step.completed')).toHaveLength(3)
      const failed = await kernel.flow('g').start()
      expect(await event(failed.runId, 'end')).toMatchObject({ data: { error: { code: 'WAIT_TIMEOUT' } } })
      expect(ran).toEqual(['true'])
    }),
  )

  it(
    'responds to a request that comes after the timeout',
    test(async ({ kernel, start, event, until }) => {
      const registered = Promise.withResolvers<AwaitRegistration>()
      await start({
        only: entry(() => 'ran', {
          awaitBefore: { type: 'webhook', timeout: 50, timeoutAction: 'skip' },
          onAwaitRegister: (registration: AwaitRegistration) => registered.resolve(registration),
        }),
      })
      const { runId } = await kernel.flow('f').start()
      const token = (await registered.promise).url!.split('/').at(-1)!
      expect((await event(runId, 'end')).data).toEqual({ result: undefined })
      await until('it has left', async () => (await codeOf(() => kernel.resolveWait(token))) === 'WAIT_OVER')
    }, webhooks),
  )

  it(
    'waits for the first of several events, and for all of several events',
    test(async ({ kernel, start, event }) => {
      const day = { type: 'time', delay: 86_400_000 }
      await start({
        any: entry((_job, ctx) => ctx.awaited, { awaitBefore: { any: [day, { type: 'event', event: 'go' }] } }),
        all: [
          {
            flow: { name: 'g', role: 'entry' },
            awaitBefore: {
              all: [
                { type: 'event', event: 'go' },
                { type: 'time', delay: 20 },
                { type: 'event', event: 'set' },
              ],
            },
          },
          (_job, ctx) => ctx.awaited,
        ],
      })
      const [any, all] = [await kernel.flow('f').start(), await kernel.flow('g').start()]
      await event(any.runId, `awaiting:${any.runId}.any:(before)`)
      await event(all.runId, `awaiting:${all.runId}.all:(before)`)
      await kernel.sendEvent('go', 1)
      expect((await event(any.runId, 'end')).data).toEqual({ result: { payload: 1, index: 1, timedOut: false } })
      await kernel.sendEvent('set', 2)
      expect((await event(all.runId, 'end')).data).toEqual({ result: { payloads: [1, undefined, 2], timedOut: false } })
    }),
  )

  it(
    'waits after a handler, runs the handler once, and publishes its emits after the wait',
    test(async ({ kernel, start, event, types }) => {
      let runs = 0
      await start({
        first: entry(
          async (_job, ctx) => {
            runs++
            await ctx.flow.emit('next', 'kept')
            return 'returned'
          },
          { awaitAfter: { type: 'event', event: 'release' } },
        ),
        next: step({ subscribes: 'next' }, ({ data }) => data),
      })
      const { runId } = await kernel.flow('f').start()
      await event(runId, `awaiting:${runId}.first:(after)`)
      expect(await types(runId)).not.toContain('step.queued')
      await kernel.sendEvent('release')
      expect((await event(runId, 'end')).data).toEqual({ result: 'kept' })
      expect(runs).toBe(1)
    }),
  )

  it(
    'removes all waits of a run that is cancelled',
    test(async ({ kernel, start, event, events, reach }) => {
      await start({
        only: entry(() => 'ran', { awaitBefore: { type: 'event', event: 'never', match: () => 'k' } }),
      })
      const job = await kernel.flow('f').start()
      await reach(job, 'delayed')
      expect(await kernel.flow('f').cancel(job.runId)).toBe(true)
      expect((await event(job.runId, 'end')).type).toBe('flow.cancelled')
      await reach(job, 'cancelled')
      const waiting = (await events('wait:never:k')).map(({ type }) => type)
      expect(waiting).toEqual(['wait.registered', 'wait.closed'])
    }),
  )

  it(
    'rejects an invalid wait',
    test(async ({ kernel, start, event }) => {
      const wrong: WorkerConfig[] = [
        { awaitBefore: { type: 'schedule', cron: 'every day' } },
        { awaitBefore: { type: 'time' } },
        { awaitAfter: { any: [] } },
      ]
      for (const config of wrong) {
        expect(await codeOf(() => kernel.registerWorker({ id: 'w', config, handler: () => {} }))).toBe('WAIT_INVALID')
      }
      await start({
        moment: entry(() => {}, { awaitBefore: { type: 'time', until: () => new Date('oops') } }),
        key: [
          { flow: { name: 'g', role: 'entry' }, awaitBefore: { type: 'event', event: 'e', match: 'id' } },
          () => {},
        ],
      })
      for (const flow of ['f', 'g']) {
        const { runId } = await kernel.flow(flow).start({})
        expect(await event(runId, 'end')).toMatchObject({ data: { error: { code: 'WAIT_INVALID' } } })
      }
    }),
  )

  it(
    'accepts an event once its run was acknowledged, even before a worker has begun it',
    test(async ({ kernel, start, reach, event, elapse }) => {
      const waits: Handler = ({ data }, ctx) =>
        ctx.step.waitForEvent('paid', { event: 'paid', key: String(data), timeout: 3000 })
      await start({
        plain: waits,
        early: [{ flow: { name: 'early', role: 'entry' } }, waits],
        placed: [{ flow: { name: 'late', role: 'entry' } }, ({ data }, ctx) => ctx.flow.emit('placed', data)],
        ships: [{ flow: { name: 'late', role: 'step', subscribes: 'placed' } }, waits],
      })
      const queue = kernel.port('queue')
      for (const name of ['plain', 'early', 'placed']) await queue.pause(name)
      const plain = await kernel.enqueue('plain', 'a')
      const early = await kernel.flow('early').start('b')
      const late = await kernel.flow('late').start('c')
      for (const key of ['a', 'b', 'c']) await kernel.sendEvent('paid', `paid ${key}`, { key })
      await elapse(50)
      for (const name of ['plain', 'early', 'placed']) await queue.resume(name)
      expect((await reach(plain, 'completed')).result).toBe('paid a')
      expect((await event(early.runId, 'end')).data).toEqual({ result: 'paid b' })
      expect((await event(late.runId, 'end')).data).toEqual({ result: 'paid c' })
    }),
  )
}
