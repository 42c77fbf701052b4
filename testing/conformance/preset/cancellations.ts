import { expect, it } from 'vitest'
import { codeOf } from '../harness.ts'
import type { PresetTest } from './rig.ts'

/** Tests events that cancel jobs and runs. */
export function cancellationTests(test: PresetTest): void {
  it(
    'cancels jobs that wait, are delayed or run, and whole runs, on an event that was sent after them',
    test(async ({ kernel, start, reach, until }) => {
      const began = Promise.withResolvers<void>()
      const aborted = Promise.withResolvers<void>()
      const hold = async (signal: AbortSignal): Promise<void> => {
        began.resolve()
        signal.addEventListener('abort', () => aborted.resolve(), { once: true })
        await aborted.promise
      }
      const cancelOn = { event: 'order.cancelled', match: 'order' } as const
      await start({
        w: [{ queue: 'w', cancelOn }, () => 'ran'],
        long: [{ queue: 'long', cancelOn }, (_job, ctx) => hold(ctx.signal)],
        picky: [
          {
            queue: 'picky',
            cancelOn: [
              {
                ...cancelOn,
                filter: (payload, { data }) => (payload as { by: string }).by === (data as { of: string }).of,
              },
              { event: 'shop.closed' },
            ],
          },
          () => 'ran',
        ],
        entry: [
          { flow: { name: 'order', role: 'entry', emits: ['placed'] }, cancelOn },
          (_job, ctx) => ctx.flow.emit('placed'),
        ],
        ship: [
          {
            flow: { name: 'order', role: 'step', subscribes: 'placed' },
            awaitBefore: { type: 'event', event: 'never' },
          },
          () => 'shipped',
        ],
      })
      for (const queue of ['w', 'picky']) await kernel.port('queue').pause(queue)
      const [mine, later, other] = await kernel.enqueueMany([
        { worker: 'w', data: { order: 7 } },
        { worker: 'w', data: { order: 7 }, options: { delay: 600_000 } },
        { worker: 'w', data: { order: 8 } },
      ])
      const running = await kernel.enqueue('long', { order: 7 })
      const [his, hers] = await kernel.enqueueMany([
        { worker: 'picky', data: { order: 7, of: 'him' } },
        { worker: 'picky', data: { order: 7, of: 'her' } },
      ])
      const run = await kernel.flow('order').start({ order: 7 })
      await began.promise
      const shipping = await until('the step waits', async () => {
        const [job] = await kernel.port('queue').getJobs({ queue: 'ship', states: ['delayed'] })
        return job
      })
      await kernel.sendEvent('order.cancelled', { order: 7, by: 'her' })
      for (const job of [mine!, later!, running, hers!, shipping]) await reach(job, 'cancelled')
      await aborted.promise
      await until(
        'the run is cancelled',
        async () => (await kernel.port('events').runs.get(run.runId))?.status === 'cancelled',
      )

      // What was enqueued after the event stays.
      const next = await kernel.enqueue('w', { order: 7 })
      for (const queue of ['w']) await kernel.port('queue').resume(queue)
      for (const job of [other!, next]) await reach(job, 'completed')
      expect(await his!.state()).toBe('waiting')
      await kernel.sendEvent('shop.closed')
      await reach(his!, 'cancelled')
      expect(await codeOf(() => kernel.enqueue('w', { of: 'nobody' }))).toBe('OPTION_INVALID')
      const step = { queue: 's', flow: { name: 'order', role: 'step', subscribes: 'placed' }, cancelOn } as const
      expect(await codeOf(() => kernel.registerWorker({ id: 's', config: step, handler: () => {} }))).toBe(
        'OPTION_INVALID',
      )
    }),
  )
}
