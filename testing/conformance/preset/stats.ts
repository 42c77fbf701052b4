import { expect, it } from 'vitest'
import type { PresetTest } from './rig.ts'

/** Tests the time series of jobs. */
export function statsTests(test: PresetTest): void {
  it(
    'counts the events of jobs in all processes, and measures how long jobs wait and run',
    test(async ({ kernel, start, reach, until, now }) => {
      let tries = 0
      await start({
        flaky: [
          { attempts: 2 },
          () => {
            if (++tries === 1) throw new Error('once')
          },
        ],
        broken: () => {
          throw new Error('always')
        },
      })
      await reach(await kernel.enqueue('flaky'), 'completed')
      await reach(await kernel.enqueue('broken'), 'failed')
      const sum = async (query: object) => {
        const { step, series } = await kernel.stats(query)
        const total = { enqueued: 0, started: 0, completed: 0, failed: 0, retried: 0, waits: 0, runs: 0 }
        for (const { wait, run, ...counts } of series) {
          for (const name of ['enqueued', 'started', 'completed', 'failed', 'retried'] as const) {
            total[name] += counts[name]
          }
          total.waits += wait.count
          total.runs += run.count
        }
        return { step, ...total }
      }
      const flaky = { enqueued: 1, started: 2, completed: 1, failed: 0, retried: 1, waits: 2, runs: 2 }
      await until('all is counted', async () => (await sum({})).runs === 3)
      expect(await sum({ queue: 'flaky' })).toEqual({ step: 10_000, ...flaky })
      const { queues = [] } = await kernel.stats({ by: 'queue' })
      expect(
        queues.map(({ queue, series }) => [queue, series.reduce((most, { started }) => most + started, 0)]),
      ).toEqual([
        ['broken', 1],
        ['flaky', 2],
      ])
      const ts = Math.floor(now() / 10_000) * 10_000 - 20_000
      const row = { queue: 'flaky', worker: 'flaky', counts: [5, 4, 3, 2, 1], wait: [1, 4], run: [9, 6] }
      await kernel
        .port('events')
        .append('_stats.10s', [{ type: 'stats.bucket', data: { id: 'other.1', ts, rows: [row] } }])
      const both = { enqueued: 6, started: 6, completed: 4, failed: 2, retried: 2, waits: 6, runs: 8 }
      expect(await sum({ worker: 'flaky' })).toEqual({ step: 10_000, ...both })
      expect(await sum({ worker: 'flaky', step: 60_000 })).toEqual({ step: 60_000, ...both })
      const week = { worker: 'flaky', from: now() - 7 * 86_400_000 }
      expect(await sum(week)).toEqual({ step: 3_600_000, ...both })
    }),
  )
}
