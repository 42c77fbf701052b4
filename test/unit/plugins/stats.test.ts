import { expect, it } from 'vitest'
import { definePlugin, type PluginKernel } from '../../../kernel/index.ts'
import {
  addSparse,
  createHistogram,
  addDuration,
  quantilesOf,
  toSparse,
} from '../../../plugins/observability/stats/histogram.ts'
import { createLayers, LAYERS, type BucketRecord } from '../../../plugins/observability/stats/layers.ts'
import { REST, Rows } from '../../../plugins/observability/stats/rows.ts'
import { createTestKernel } from '../../../testing/index.ts'
import { errorOf } from '../../../testing/conformance/harness.ts'
import { VIRTUAL_EPOCH } from '../../../testing/virtual-clock.ts'

const HOUR = 3_600_000

/** Lets appends to streams of statistics fail, before or after they are stored. */
function faults() {
  const failing: { stream?: string; stored?: boolean } = {}
  let inner: PluginKernel | undefined
  const plugin = definePlugin({
    name: 'faults',
    setup(kernel) {
      inner = kernel
      kernel.hook('emit', async ({ stream }, next) => {
        if (stream !== failing.stream) return next()
        if (failing.stored) await next()
        throw new Error('the connection broke')
      })
    },
  })
  return { failing, plugin, kernel: () => inner! }
}

function rowsOf(count: number, queue = 'q', worker = 'w'): Rows {
  const rows = new Rows()
  rows.row(queue, worker).counts.completed += count
  return rows
}

const completed = (series: readonly { completed: number }[]): number =>
  series.reduce((sum, point) => sum + point.completed, 0)

it('counts jobs by queue and worker, and measures how long they wait and run, in test time', async () => {
  const { promise, resolve } = Promise.withResolvers<void>()
  let tries = 0
  await using test = await createTestKernel({
    workers: {
      slow: { config: { queue: 'slow', concurrency: 2 }, handler: () => promise },
      flaky: {
        config: { queue: 'flaky', attempts: 2, backoff: 5000 },
        handler: () => {
          if (++tries === 1) throw new Error('once')
        },
      },
      broken: {
        config: { queue: 'flaky' },
        handler: () => {
          throw new Error('always')
        },
      },
    },
  })
  const { kernel } = test
  await kernel.enqueue('slow')
  await kernel.enqueue('slow', 2, { id: 'same' })
  await kernel.enqueue('slow', 2, { id: 'same' })
  await kernel.enqueue('flaky')
  await kernel.enqueue('broken')
  await test.advance('4s')
  resolve()
  await test.advance('2s')
  const slow = await kernel.stats({ queue: 'slow' })
  expect(slow.step).toBe(10_000)
  expect(slow.series.at(-1)).toMatchObject({
    ...{ ts: VIRTUAL_EPOCH, enqueued: 2, started: 2, completed: 2, failed: 0, retried: 0 },
    ...{ wait: { count: 2, p50: 0 }, run: { count: 2 } },
  })
  expect(slow.series.slice(0, -1).every(({ started, wait }) => started === 0 && wait.p50 === null)).toBe(true)
  const { p50, p99 } = slow.series.at(-1)!.run
  expect(p50! / 4000).toBeCloseTo(1, 0)
  expect(p99).toBe(p50)

  const counts = { enqueued: 1, started: 2, completed: 1, failed: 0, retried: 1, wait: { count: 2 }, run: { count: 2 } }
  expect((await kernel.stats({ queue: 'flaky', worker: 'flaky' })).series.at(-1)).toMatchObject(counts)
  expect((await kernel.stats({ worker: 'broken' })).series.at(-1)).toMatchObject({ failed: 1, completed: 0 })
  expect((await kernel.stats({ mayRead: (queue) => queue !== 'flaky' })).series.at(-1)).toMatchObject({ enqueued: 2 })
  expect((await kernel.stats()).series.at(-1)).toMatchObject({ enqueued: 4, started: 5, completed: 3, failed: 1 })
})

it('keeps the same totals while buckets move to coarser steps, and keeps its streams bounded', async () => {
  await using test = await createTestKernel({ workers: { work: () => {} } })
  const { kernel } = test
  for (let hour = 0; hour < 30; hour++) {
    await kernel.enqueue('work')
    await kernel.enqueue('work')
    await test.advance('2m')
    await kernel.enqueue('work')
    await test.advance('58m')
  }
  const events = kernel.port('events')
  const all = { from: VIRTUAL_EPOCH, to: VIRTUAL_EPOCH + 30 * HOUR }
  const hours = await kernel.stats(all)
  expect(hours).toMatchObject({ step: HOUR, series: Array.from({ length: 30 }, () => ({ completed: 3 })) })
  expect(await kernel.stats({ ...all, step: 60_000 })).toEqual(hours)
  expect(completed((await kernel.stats({ from: VIRTUAL_EPOCH + 27 * HOUR, step: 60_000 })).series)).toBe(9)
  expect(completed((await kernel.stats({ from: VIRTUAL_EPOCH + 29 * HOUR, step: 10_000 })).series)).toBe(3)
  const ages = await Promise.all(
    LAYERS.map(async ({ stream, keep }) => {
      const trimmed = Number((await errorOf(() => events.read(stream)))?.details?.trimmed ?? 0)
      const left = await events.read(stream, { after: trimmed })
      return { trimmed: trimmed > 0, kept: left.every(({ ts }) => ts >= kernel.clock.now() - keep - HOUR) }
    }),
  )
  expect(ages).toEqual([
    { trimmed: true, kept: true },
    { trimmed: true, kept: true },
    { trimmed: false, kept: true },
  ])
})

it('counts a bucket once when several instances roll it up, or one dies in the middle', async () => {
  const { failing, plugin, kernel: inner } = faults()
  await using test = await createTestKernel({ plugins: [plugin], config: { stats: { enabled: false } } })
  const { kernel, clock } = test
  const layers = [createLayers(inner()), createLayers(inner())] as const
  const record = (id: string) => ({ id, ts: clock.now() - 10_000 })
  for (let bucket = 0; bucket < 12; bucket++) {
    await test.advance('10s')
    await layers[0].append(record(`a.${bucket}`), rowsOf(1))
    await layers[1].append(record(`b.${bucket}`), rowsOf(10, 'other'))
  }
  await test.advance('1m')
  failing.stream = '_stats.1m'
  for (const stored of [false, true]) {
    failing.stored = stored
    await expect(layers[0].rollUp(0)).rejects.toThrow('the connection broke')
  }
  failing.stream = undefined
  await Promise.all([layers[0].rollUp(0), layers[1].rollUp(0), layers[0].rollUp(0)])
  await layers[0].append({ id: 'late', ts: VIRTUAL_EPOCH }, rowsOf(100))
  await test.advance('1h')
  await Promise.all([layers[0].rollUp(0), layers[1].rollUp(0)])
  await Promise.all([layers[0].rollUp(1), layers[1].rollUp(1)])
  for (const step of [60_000, HOUR]) {
    const { series } = await kernel.stats({ from: VIRTUAL_EPOCH, to: VIRTUAL_EPOCH + HOUR, step })
    expect([completed(series), series[0]!.completed >= 100]).toEqual([12 + 120 + 100, true])
  }
  const [minutes] = (await kernel.port('events').read('_stats.1m')).map(({ data }) => data as BucketRecord)
  expect(minutes!.rows).toHaveLength(2)
})

it('counts a bucket once if its append was stored but reported as failed, and keeps a bucket that was not stored', async () => {
  const { failing, plugin } = faults()
  await using test = await createTestKernel({ plugins: [plugin], workers: { work: () => {} } })
  failing.stream = '_stats.10s'
  for (const stored of [true, false]) {
    failing.stored = stored
    await test.kernel.enqueue('work')
    await test.advance('10s')
    await test.advance('10s')
  }
  expect(completed((await test.kernel.stats()).series)).toBe(2)
  failing.stream = undefined
  await test.advance('30s')
  expect(await test.kernel.port('events').head('_stats.10s')).toBe(2)
  expect(completed((await test.kernel.stats()).series)).toBe(2)
  const told = test.reports.filter(({ message }) => message.includes('statistics'))
  expect(told.map(({ level }) => level)).toEqual(['warn', 'warn'])
})

it('stores the bucket of a process that closes, and leaves no timer', async () => {
  const seen: BucketRecord[] = []
  const watcher = definePlugin({
    name: 'watcher',
    setup: (kernel) =>
      void kernel.hook('emit', ({ stream, events }, next) => {
        if (stream === '_stats.10s') seen.push(...events.map(({ data }) => data as BucketRecord))
        return next()
      }),
  })
  const test = await createTestKernel({ plugins: [watcher], workers: { work: () => {} } })
  await test.kernel.enqueue('work')
  await test.drain()
  await test.close()
  expect(seen).toMatchObject([
    { ts: VIRTUAL_EPOCH, rows: [{ queue: 'default', worker: 'work', counts: [1, 1, 1, 0, 0, 0] }] },
  ])
  expect(test.clock.timers).toBe(0)
})

it('bounds the rows of a record by number and bytes, and loses no count', () => {
  const rows = new Rows()
  for (let n = 0; n < 1500; n++) rows.row(`q${n % 5}`, `w${n}`).counts.completed += n < 3 ? 1000 : 1
  for (const bytes of [Infinity, 20_000, 5000]) {
    const stored = rows.toStored(bytes)
    expect(stored.length).toBeLessThanOrEqual(201)
    expect(JSON.stringify(stored).length).toBeLessThan(bytes)
    expect(stored.reduce((sum, { counts }) => sum + counts[2]!, 0)).toBe(4497)
    expect(stored.at(-1)).toMatchObject({ queue: REST, worker: REST })
    expect(stored.slice(0, 3).map(({ counts }) => counts[2])).toEqual([1000, 1000, 1000])
  }
})

it('derives quantiles from merged histograms with an error of at most 9 per cent', () => {
  const whole = createHistogram()
  const parts = [createHistogram(), createHistogram()]
  for (let ms = 1; ms <= 10_000; ms++) addDuration(parts[ms % 2]!, ms)
  for (const part of parts) addSparse(whole, toSparse(part))
  const { count, p50, p95, p99 } = quantilesOf(whole)
  expect(count).toBe(10_000)
  for (const [found, exact] of [
    [p50, 5000],
    [p95, 9500],
    [p99, 9900],
  ] as const) {
    expect(Math.abs(found! - exact) / exact).toBeLessThan(0.1)
  }
  addDuration(whole, -5)
  addDuration(whole, 1e15)
  expect(quantilesOf(whole).count).toBe(10_002)
  expect(quantilesOf(createHistogram())).toEqual({ count: 0, p50: null, p95: null, p99: null })
})
