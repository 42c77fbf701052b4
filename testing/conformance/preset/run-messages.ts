import { expect, it } from 'vitest'
import type { WorkerConfig } from '../../../kernel/index.ts'
import type { UpdateContext } from '../../../plugins/flow/run-messages/index.ts'
import { codeOf } from '../harness.ts'
import type { PresetTest, Worker } from './rig.ts'

const config = {
  queue: 'entry',
  flow: { name: 'f', role: 'entry' },
  queries: { items: ({ state }) => state.items },
  updates: {
    add: {
      validate: ({ input }) => typeof input === 'string' || 'Only texts can be added.',
      handler({ input, state: { items = [] }, set }: UpdateContext<{ items?: unknown[] }>) {
        set({ items: [...items, input] })
        return items.length + 1
      },
    },
    close: {
      handler({ emit, signal, set }) {
        set({ closed: true })
        emit('closed', 'payload')
        signal('close', 'now')
      },
    },
  },
} satisfies WorkerConfig

const step = { queue: 'closed', flow: { name: 'f', role: 'step', subscribes: 'closed' } } satisfies WorkerConfig

const entry: Worker = [config, async (_job, ctx) => ctx.step.waitForSignal('close')]

/** Tests queries, updates and signals of running flows. */
export function runMessageTests(test: PresetTest): void {
  it(
    'queries and updates a run from any instance, one update after another, and each id once',
    test(async ({ kernel, start, sibling, event, types }) => {
      await start({ entry, closed: [step, ({ data }) => data] })
      const other = await sibling()
      // This instance runs no jobs.
      if (other !== kernel) {
        await other.registerWorker({ id: 'entry', config, handler: () => {} })
        await other.registerWorker({ id: 'closed', config: step, handler: () => {} })
      }
      const queue = kernel.port('queue')
      await queue.pause('entry')
      const { runId } = await kernel.flow('f').start()
      const events = other.port('events')
      const byKey = events.byKey.bind(events)
      // A worker begins the run while the first update looks for it.
      events.byKey = async (stream, key) => {
        if (key === 'flow.started') {
          events.byKey = byKey
          await queue.resume('entry')
          await event(runId, key)
        }
        return byKey(stream, key)
      }
      expect(await other.flow('f').update(runId, 'add', 'u0', { id: 'u0' })).toBe(1)
      const ids = Array.from({ length: 10 }, (_, index) => `u${index % 5}`)
      const responses = await Promise.all(
        ids.map((id, index) => (index % 2 ? kernel : other).flow('f').update(runId, 'add', id, { id })),
      )
      expect(responses.slice(0, 5)).toEqual(responses.slice(5))
      expect(new Set(responses)).toEqual(new Set([1, 2, 3, 4, 5]))
      expect(new Set((await other.flow('f').query(runId, 'items')) as string[])).toEqual(new Set(ids))
      expect(await codeOf(() => other.flow('f').update(runId, 'add', 7))).toBe('UPDATE_REFUSED')
      expect((await types(runId)).filter((type) => type === 'flow.updated')).toHaveLength(5)
      await other.flow('f').update(runId, 'close')
      expect((await event(runId, 'end')).type).toBe('flow.completed')
      const ended = await types(runId)
      expect(ended.filter((type) => type === 'step.completed')).toHaveLength(2)
      expect(await other.flow('f').query(runId, 'items')).toHaveLength(5)
      expect(await codeOf(() => other.flow('f').update(runId, 'add', 'late'))).toBe('RUN_ENDED')
      expect(await other.flow('f').update(runId, 'add', 'u0', { id: 'u0' })).toBe(responses[0])
      expect(await types(runId)).toEqual(ended)
    }),
  )
}
