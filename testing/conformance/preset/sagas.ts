import { expect, it } from 'vitest'
import { entry, step, undo } from './flow-workers.ts'
import type { PresetTest } from './rig.ts'

/** Tests runs whose steps fail, and runs that other runs wait for. */
export function sagaTests(test: PresetTest): void {
  it(
    'compensates completed steps in reverse order when a step fails that requires it',
    test(async ({ kernel, start, event, types }) => {
      const undone: unknown[] = []
      await start({
        reserve: entry(async ({ data }, ctx) => {
          await ctx.flow.emit('reserved', data)
          return 'reservation 1'
        }),
        charge: step({ subscribes: 'reserved' }, async (_job, ctx) => {
          await ctx.flow.emit('charged')
          return 'charge 2'
        }),
        ship: step({ subscribes: 'charged', onError: 'compensate' }, () => {
          throw new Error('no truck')
        }),
        refund: undo('charge', ({ data }) => void undone.push(data)),
        release: undo('reserve', ({ data }) => void undone.push(data)),
      })
      const { runId } = await kernel.flow('f').start({ sku: 'A1' })
      expect(await event(runId, 'end')).toMatchObject({
        type: 'flow.failed',
        data: { step: 'ship', error: { message: 'no truck' }, compensated: ['refund', 'release'] },
      })
      expect(undone).toMatchObject([
        { input: { sku: 'A1' }, result: 'charge 2', error: { message: 'no truck' } },
        { input: { sku: 'A1' }, result: 'reservation 1', error: { message: 'no truck' } },
      ])
      expect((await types(runId)).filter((type) => type === 'flow.compensating')).toHaveLength(1)
      await expect(kernel.flow('f').result(runId)).rejects.toThrow('no truck')
    }),
  )

  it(
    'stops running steps before compensation, and reports failed compensations',
    test(async ({ kernel, start, event, events }) => {
      const works = Promise.withResolvers<void>()
      await start({
        split: entry(async (_job, ctx) => {
          await ctx.flow.emit('slow')
          await ctx.flow.emit('bad')
        }),
        slow: step({ subscribes: 'slow' }, async (_job, { signal }) => {
          works.resolve()
          await new Promise((resolve) => signal.addEventListener('abort', resolve))
        }),
        bad: step({ subscribes: 'bad', onError: 'compensate' }, async () => {
          await works.promise
          throw new Error('boom')
        }),
        unsplit: undo('split', () => {
          throw new Error('cannot')
        }),
      })
      const { runId } = await kernel.flow('f').start()
      expect(await event(runId, 'end')).toMatchObject({
        type: 'flow.failed',
        data: { step: 'bad', error: { message: 'boom' }, compensated: [], uncompensated: ['unsplit'] },
      })
      const order = (await events(runId)).map(({ type, step: name }) => `${type} ${name ?? ''}`)
      expect(order.indexOf('step.cancelled slow')).toBeLessThan(order.indexOf('step.queued unsplit'))
      expect(order).toContain('step.cancelled slow')
    }),
  )

  it(
    'waits for nested runs of other flows without occupying a process',
    test(async ({ kernel, start, event, events }) => {
      await start({
        outer: entry(async ({ data }, ctx) => `outer ${String(await ctx.flow.start('middle', data, { wait: true }))}`),
        middle: [
          { flow: { name: 'middle', role: 'entry' } },
          async ({ data }, ctx) => `middle ${String(await ctx.flow.start('inner', data, { wait: true }))}`,
        ],
        inner: [{ flow: { name: 'inner', role: 'entry' } }, ({ data }) => `inner ${String(data)}`],
      })
      const { runId } = await kernel.flow('f').start('x')
      expect((await event(runId, 'end')).data).toEqual({ result: 'outer middle inner x' })
      const [child] = await kernel.flow('middle').runs()
      const started = (await events(child!.runId)).find(({ type }) => type === 'flow.started')
      expect(started?.data).toMatchObject({ parent: { runId, waits: true } })
    }),
  )

  it(
    'waits for several runs at the same time, in whatever order they end',
    test(async ({ kernel, start, event }) => {
      await start({
        outer: entry((_job, ctx) =>
          Promise.all(['slow', 'fast', 'slower'].map((data) => ctx.flow.start('inner', data, { wait: true }))),
        ),
        inner: [
          { flow: { name: 'inner', role: 'entry' }, concurrency: 3 },
          async ({ data }, ctx) => {
            if (data !== 'fast') await ctx.step.sleep('nap', data === 'slow' ? 60 : 120)
            return data
          },
        ],
      })
      const { runId } = await kernel.flow('f').start()
      expect((await event(runId, 'end')).data).toEqual({ result: ['slow', 'fast', 'slower'] })
    }),
  )

  it(
    'fails with the error of the run that it waits for',
    test(async ({ kernel, start, event }) => {
      await start({
        outer: entry(async (_job, ctx) => ctx.flow.start('inner', 1, { wait: true })),
        inner: [
          { flow: { name: 'inner', role: 'entry' } },
          () => {
            throw new Error('broken inside')
          },
        ],
      })
      const { runId } = await kernel.flow('f').start()
      expect(await event(runId, 'end')).toMatchObject({
        type: 'flow.failed',
        data: { error: { code: 'FLOW_CHILD_FAILED', message: expect.stringContaining('broken inside') as string } },
      })
    }),
  )

  it(
    'waits for a run that another caller has started: a running, an ended and a removed run',
    test(async ({ kernel, start, event, until }) => {
      const gate = Promise.withResolvers<string>()
      let ran = 0
      await start({
        outer: entry(async ({ data }, ctx) => ctx.flow.start('inner', 'again', { id: String(data), wait: true })),
        inner: [
          { flow: { name: 'inner', role: 'entry' }, concurrency: 2 },
          ({ data }) => (ran++, data === 'slow' ? gate.promise : data),
        ],
      })
      const waits = (runId: string): Promise<unknown> =>
        until('it waits', async () =>
          (await kernel.port('events').read(runId)).some(({ type }) => type === 'step.deferred'),
        )
      await kernel.flow('inner').start('slow', { id: 'open' })
      await kernel.flow('inner').start('quick', { id: 'ended' })
      await event('ended', 'end')
      const open = await Promise.all([1, 2].map(() => kernel.flow('f').start('open')))
      await Promise.all(open.map(({ runId }) => waits(runId)))
      const ended = await kernel.flow('f').start('ended')
      expect((await event(ended.runId, 'end')).data).toEqual({ result: 'quick' })
      gate.resolve('at last')
      for (const { runId } of open) expect((await event(runId, 'end')).data).toEqual({ result: 'at last' })

      await until('the runs are removed, and their ids are known', async () => {
        const policy = { outcome: 'completed' as const, endedBefore: kernel.clock.now() + 60_000, keep: 0 }
        await kernel.port('queue').clean({ ...policy, rememberFor: 3_600_000 })
        await kernel.port('events').expire(policy)
        return (await kernel.port('queue').getJobs({ queue: 'inner' })).length === 0
      })
      const late = await kernel.flow('f').start('open')
      expect((await event(late.runId, 'end')).data).toMatchObject({ error: { code: 'FLOW_CHILD_FAILED' } })
      expect(ran).toBe(2)
    }),
  )

  it(
    'is cancelled together with the runs it waits for',
    test(async ({ kernel, start, event, until }) => {
      const inside = Promise.withResolvers<string>()
      let stopped = false
      await start({
        outer: entry(async (_job, ctx) => ctx.flow.start('inner', 1, { wait: true })),
        inner: [
          { flow: { name: 'inner', role: 'entry' } },
          async ({ runId }, { signal }) => {
            inside.resolve(runId)
            await new Promise((resolve) => signal.addEventListener('abort', resolve))
            stopped = true
          },
        ],
      })
      const { runId } = await kernel.flow('f').start()
      const child = await inside.promise
      await until('the outer one waits', async () =>
        (await kernel.port('events').read(runId)).some(({ type }) => type === 'step.deferred'),
      )
      expect(await kernel.flow('f').cancel(runId, { reason: 'enough' })).toBe(true)
      expect(await event(child, 'end')).toMatchObject({ type: 'flow.cancelled', data: { reason: 'enough' } })
      await until('the inner one is stopped', () => stopped)
    }),
  )

  it(
    'starts a run of another flow once over all attempts, with or without waiting for it',
    test(async ({ kernel, start, event }) => {
      const inputs: unknown[] = []
      await start({
        outer: entry(
          async (_job, ctx) => {
            const { runId } = await ctx.flow.start('inner', 'x', { tags: ['child'] })
            if (ctx.attempt === 1) throw new Error('once')
            return runId
          },
          { attempts: 2 },
        ),
        inner: [{ flow: { name: 'inner', role: 'entry' } }, ({ data }) => void inputs.push(data)],
      })
      const { runId } = await kernel.flow('f').start()
      const { result } = (await event(runId, 'end')).data as { result: string }
      await event(result, 'end')
      expect(inputs).toEqual(['x'])
      expect(await kernel.flow('inner').runs({ tag: 'child' })).toMatchObject([{ runId: result }])
    }),
  )

  it(
    'continues although one of its jobs was removed from its queue',
    test(
      async ({ kernel, start, event, reach, reports }) => {
        await start({
          first: entry((_job, ctx) => ctx.flow.emit('next', 'kept')),
          second: step({ subscribes: 'next' }, ({ data }) => data, { awaitBefore: { type: 'time', delay: 300 } }),
        })
        const { runId } = await kernel.flow('f').start()
        const { stepId } = await event(runId, 'end:' + runId + '.first').then(async () => {
          const [queued] = await kernel.port('events').read(runId, { types: ['step.queued'] })
          return queued!
        })
        await reach({ queue: 'second', id: stepId! }, 'delayed')
        expect(await kernel.port('queue').remove('second', stepId!)).toBe(true)
        expect((await event(runId, 'end')).data).toEqual({ result: 'kept' })
        expect(reports.map(({ message }) => message)).toEqual([expect.stringContaining('disappeared from its queue')])
      },
      { flow: { checkInterval: 100, checkAfter: 0 } },
    ),
  )

  it(
    'stays open while one of its steps has no worker',
    test(
      async ({ kernel, start, event, until, reports }) => {
        await start({
          first: entry((_job, ctx) => ctx.flow.emit('next', 'kept'), {
            awaitBefore: { type: 'event', event: 'go' },
          }),
          second: step({ subscribes: 'next' }, ({ data }) => data),
        })
        const { runId } = await kernel.flow('f').start()
        await event(runId, `awaiting:${runId}.first:(before)`)
        await kernel
          .port('events')
          .append(runId, [{ type: 'step.queued', flow: 'f', step: 'gone', stepId: `${runId}.gone` }])
        await kernel.sendEvent('go')
        await until('it is told', () => reports.some(({ message }) => message.includes('needs step "gone"')))
        expect(await kernel.port('events').byKey(runId, 'end')).toBeUndefined()
        await kernel.registerWorker({
          id: 'gone',
          config: { queue: 'gone', flow: { name: 'f', role: 'step', subscribes: 'back' } },
          handler: () => 'back again',
        })
        expect((await event(runId, 'end')).type).toBe('flow.completed')
      },
      { flow: { checkInterval: 100, checkAfter: 0 } },
    ),
  )
}
