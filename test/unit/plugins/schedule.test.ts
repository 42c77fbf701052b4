import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { cronMoments } from '../../../plugins/flow/lib/cron.ts'
import type { KernelConfig } from 'nuxt-queue/kernel'
import { createTestKernel, type TestKernel } from '../../../testing/index.ts'

/** A kernel that records when its worker `tick` ran, as ISO text without milliseconds. */
async function noting(now: string, config?: KernelConfig['schedules']): Promise<{ test: TestKernel; ran: string[] }> {
  const ran: string[] = []
  const test = await createTestKernel({
    now: new Date(now),
    config: { schedules: config },
    workers: { tick: () => void ran.push(new Date(test.clock.now()).toISOString().slice(0, 16)) },
  })
  return { test, ran }
}

describe('cron', () => {
  it('runs at each tick, with the schedule in the config of the worker', async () => {
    const ran: number[] = []
    await using test = await createTestKernel({
      workers: {
        hourly: {
          config: {
            schedule: [
              { cron: '0 * * * *', timeZone: 'UTC' },
              { cron: '30 12 * * *', timeZone: 'UTC' },
            ],
          },
          handler: (job) => void ran.push(job.createdAt),
        },
      },
    })
    await test.advance('1d')
    expect(ran).toHaveLength(25)
  })

  it('observes its time zone across the change to daylight saving time', async () => {
    const { test, ran } = await noting('2026-03-27T12:00:00Z', {
      nightly: { cron: '0 3 * * *', worker: 'tick', timeZone: 'Europe/Berlin' },
    })
    await test.advance('4d')
    expect(ran).toEqual(['2026-03-28T02:00', '2026-03-29T01:00', '2026-03-30T01:00', '2026-03-31T01:00'])
    await test.close()
  })

  it('passes data, and names each job after its moment', async () => {
    const seen: unknown[] = []
    await using test = await createTestKernel({ workers: { report: (job) => void seen.push([job.id, job.data]) } })
    await test.kernel.schedule('daily', {
      cron: '0 0 * * *',
      timeZone: 'UTC',
      worker: 'report',
      data: { kind: 'daily' },
    })
    await test.advance('1d')
    expect(seen).toEqual([[`daily.${Date.UTC(2026, 0, 2)}`, { kind: 'daily' }]])
  })

  it('runs a tick once, even if it is enqueued repeatedly', async () => {
    const { test, ran } = await noting('2026-01-01T00:30:00Z')
    const hourly = { cron: '0 * * * *', timeZone: 'UTC', worker: 'tick' }
    for (let instance = 0; instance < 3; instance++) await test.kernel.schedule('hourly', hourly)
    await test.advance('2h')
    expect(ran).toEqual(['2026-01-01T01:00', '2026-01-01T02:00'])
    await test.close()
  })

  it('discards the old ticks of a changed schedule, and stops on request', async () => {
    const { test, ran } = await noting('2026-01-01T00:30:00Z')
    await test.kernel.schedule('job', { cron: '0 * * * *', timeZone: 'UTC', worker: 'tick' })
    await test.kernel.schedule('job', { cron: '15 * * * *', timeZone: 'UTC', worker: 'tick' })
    await test.advance('1h')
    expect(ran).toEqual(['2026-01-01T01:15'])
    test.kernel.unschedule('job')
    await test.advance('3h')
    expect(ran).toHaveLength(1)
    await test.close()
  })
})

describe('every', () => {
  it('counts from the epoch or from an anchor', async () => {
    const { test, ran } = await noting('2026-01-01T00:10:00Z')
    await test.kernel.schedule('a', { every: 3_600_000, worker: 'tick' })
    await test.kernel.schedule('b', { every: 3_600_000, anchor: '2026-06-01T00:15:00Z', worker: 'tick' })
    await test.advance('2h')
    expect(ran).toEqual(['2026-01-01T00:15', '2026-01-01T01:00', '2026-01-01T01:15', '2026-01-01T02:00'])
    await test.close()
  })

  it('computes the same jitter in every process', async () => {
    const runs: number[][] = []
    for (let instance = 0; instance < 2; instance++) {
      const ran: number[] = []
      await using test = await createTestKernel({ workers: { tick: () => void ran.push(test.clock.now()) } })
      await test.kernel.schedule('j', { every: 60_000, jitter: 30_000, worker: 'tick' })
      await test.advance('20m')
      expect(test.kernel.schedules()[0]!.next).toBeGreaterThan(test.clock.now())
      runs.push(ran.map((at) => at % 60_000))
    }
    expect(runs[0]).toEqual(runs[1])
    expect(runs[0]!.length).toBeGreaterThanOrEqual(19)
    expect(new Set(runs[0]).size).toBeGreaterThan(10)
    expect(runs[0]!.every((offset) => offset < 30_000)).toBe(true)
  })
})

describe('at', () => {
  it('runs once, and not for a moment that has passed', async () => {
    const { test, ran } = await noting('2026-01-01T00:00:00Z', {
      once: { at: '2026-01-01T10:00:00+01:00', worker: 'tick' },
      passed: { at: '2025-01-01T00:00:00Z', worker: 'tick' },
    })
    expect(test.kernel.schedules()).toMatchObject([
      { name: 'once', next: Date.UTC(2026, 0, 1, 9) },
      { name: 'passed', next: undefined },
    ])
    await test.advance('2d')
    expect(ran).toEqual(['2026-01-01T09:00'])
    expect(test.kernel.schedules().map(({ next }) => next)).toEqual([undefined, undefined])
    await test.close()
  })
})

describe('cron around a change of the clocks', () => {
  const moments = async (from: string, cron: string) => {
    const { test, ran } = await noting(from)
    await test.kernel.schedule('c', { cron, timeZone: 'Europe/Berlin', worker: 'tick' })
    await test.advance('3h')
    await test.close()
    return ran
  }

  it('catches up on the hour that is skipped in spring', async () => {
    expect(await moments('2026-03-29T00:00:00Z', '30 2 * * *')).toEqual(['2026-03-29T01:00'])
    expect(await moments('2026-03-29T00:00:00Z', '0 * * * *')).toEqual([
      '2026-03-29T01:00',
      '2026-03-29T02:00',
      '2026-03-29T03:00',
    ])
  })

  it('runs once in the hour that is repeated in autumn, unless it runs every hour', async () => {
    expect(await moments('2026-10-24T23:45:00Z', '30 2 * * *')).toEqual(['2026-10-25T00:30'])
    expect(await moments('2026-10-24T23:45:00Z', '30 * * * *')).toEqual([
      '2026-10-25T00:30',
      '2026-10-25T01:30',
      '2026-10-25T02:30',
    ])
  })

  it.each([
    ['*/10 2 * * *', ['00:00', '00:10', '00:20', '00:30', '00:40', '00:50']],
    ['0,30 2,3 * * *', ['00:00', '00:30', '02:00', '02:30']],
    ['0 */2 * * *', ['00:00']],
    ['30 0-23 * * *', ['00:30', '01:30', '02:30']],
    ['@hourly', ['00:00', '01:00', '02:00']],
  ])('runs %s once in the hour that autumn repeats, at each of its moments', async (cron, times) => {
    expect(await moments('2026-10-24T23:45:00Z', cron)).toEqual(times.map((time) => `2026-10-25T${time}`))
  })

  it.each([
    ['30 2,3 * * *', ['01:00', '01:30']],
    ['*/10 2 * * *', ['01:00']],
    ['0 2,3 * * *', ['01:00']],
    ['30 * * * *', ['00:30', '01:30', '02:30']],
  ])('runs %s right after the hour that spring leaves out', async (cron, times) => {
    expect(await moments('2026-03-29T00:00:00Z', cron)).toEqual(times.map((time) => `2026-03-29T${time}`))
  })

  it.each(['Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Pacific/Apia', 'Asia/Kathmandu', undefined])(
    'finds the same moments forwards and backwards in %s',
    (zone) => {
      const [from, to] = [Date.UTC(2011, 11, 1), Date.UTC(2012, 11, 1)]
      for (const cron of ['*/20 2 * * *', '30 1-3 * * 0', '45 */3 * * *', '0 0 * * *', '17 * * * 6', '@weekly']) {
        const { next, last } = cronMoments(cron, zone)
        const found: number[] = []
        for (let at = next(from)!; at <= to; at = next(at)!) found.push(at)
        const back: number[] = []
        for (let at = last(to)!; at > from; at = last(at - 1)!) back.unshift(at)
        expect({ cron, found }).toEqual({ cron, found: back })
        expect(new Set(found).size).toBe(found.length)
      }
    },
  )

  it('counts seconds, and knows the 29th of February', async () => {
    const { test } = await noting('2027-01-01T00:00:00Z')
    await test.kernel.schedule('s', { cron: '15,45 * * * * *', timeZone: 'UTC', worker: 'tick' })
    await test.kernel.schedule('leap', { cron: '0 0 29 2 *', timeZone: 'UTC', worker: 'tick' })
    await test.kernel.schedule('never', { cron: '0 0 30 2 *', timeZone: 'UTC', worker: 'tick' })
    const next = test.kernel.schedules().map((schedule) => schedule.next)
    expect(next).toEqual([Date.UTC(2027, 0, 1, 0, 0, 15), Date.UTC(2028, 1, 29), undefined])
    await test.close()
  })
})

describe('a schedule', () => {
  it('of a worker that is the entry of a flow starts the flow', async () => {
    await using test = await createTestKernel({
      workers: {
        first: {
          config: { flow: { name: 'f', role: 'entry' }, schedule: { every: 60_000, overlap: 'skip' } },
          handler: () => 'done',
        },
      },
    })
    await test.advance('1m')
    expect(await test.kernel.flow('f').result(`first.${Date.UTC(2026, 0, 1, 0, 1)}`)).toBe('done')
  })

  it('skips moments while the run of a flow continues, although its first step has ended', async () => {
    const gate = Promise.withResolvers<void>()
    const started: number[] = []
    await using test = await createTestKernel({
      workers: {
        first: {
          config: { flow: { name: 'f', role: 'entry' }, schedule: { every: 60_000, overlap: 'skip' } },
          async handler(_job, ctx) {
            started.push(test.clock.now())
            await ctx.flow.emit('next')
          },
        },
        second: {
          config: { queue: 'q', flow: { name: 'f', role: 'step', subscribes: 'next' } },
          handler: () => gate.promise,
        },
      },
    })
    await test.advance('5m')
    expect(started).toHaveLength(1)
    gate.resolve()
    await test.advance('1m')
    expect(started).toHaveLength(2)
  })

  it('cancels the run of a flow that it replaces, even if it has not begun', async () => {
    await using test = await createTestKernel({
      workers: {
        first: {
          config: { queue: 'q', flow: { name: 'f', role: 'entry' }, schedule: { every: 60_000, overlap: 'replace' } },
          handler: (_job, { signal }) => new Promise((resolve) => signal.addEventListener('abort', resolve)),
        },
      },
    })
    const { kernel } = test
    const states = async () => (await kernel.port('queue').getJobs({ queue: 'q' })).map(({ state }) => state)
    await test.advance('2m')
    expect(await states()).toEqual(['cancelled', 'active'])
    await kernel.port('queue').pause('q')
    await test.advance('2m')
    expect(await states()).toEqual(['cancelled', 'cancelled', 'cancelled', 'waiting'])
  })

  it('continues within a minute after its queued tick was removed', async () => {
    const { test, ran } = await noting('2026-01-01T00:00:00Z')
    await test.kernel.schedule('s', { every: 600_000, worker: 'tick' })
    const [tick] = await test.kernel.port('queue').getJobs({ queue: '_schedule', states: ['delayed'] })
    await test.kernel.port('queue').remove('_schedule', tick!.id)
    await test.advance('25m')
    expect(ran).toEqual(['2026-01-01T00:10', '2026-01-01T00:20'])
    await test.close()
  })

  it.each([
    { catchUp: 'last' as const, caughtUp: [10] },
    { catchUp: 'all' as const, caughtUp: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10] },
    // A tick that is up to a minute late is not too late.
    { catchUp: false as const, caughtUp: [10] },
  ])('makes up for ticks that could not run, whoever sowed them: $catchUp', async ({ catchUp, caughtUp }) => {
    const ran: number[] = []
    const start = Date.UTC(2026, 0, 1)
    const note = ({ id }: { id: string }) => void ran.push((Number(id.split('.')[1]) - start) / 60_000)
    await using test = await createTestKernel({ workers: { tick: note } })
    const queue = test.kernel.port('queue')
    await test.kernel.schedule('s', { every: 60_000, worker: 'tick', catchUp })
    await queue.pause('_schedule')
    await test.advance('630s')
    await queue.resume('_schedule')
    await test.drain()
    expect(ran).toEqual(caughtUp)
    await test.advance('1m')
    expect(ran).toEqual([...caughtUp, 11])
  })

  it('continues after a job that is rejected', async () => {
    const ran: unknown[] = []
    await using test = await createTestKernel({
      workers: { tick: { config: { input: z.number().max(1) }, handler: ({ data }) => void ran.push(data) } },
    })
    let moments = 0
    await test.kernel.schedule('s', { every: 60_000, worker: 'tick', data: () => (moments++ === 0 ? 2 : 1) })
    await test.advance('3m')
    expect(ran.length).toBeGreaterThanOrEqual(2)
  })

  it('of the configuration warns if its worker does not exist', async () => {
    const { test } = await noting('2026-01-01T00:00:00Z', { typo: { every: 1000, worker: 'tack' } })
    expect(test.reports).toMatchObject([{ level: 'warn', message: expect.stringContaining('"tack"') }])
    await test.close()
  })

  it('that a worker and the configuration both declare is rejected', async () => {
    const worker = { config: { schedule: { every: 1000 } }, handler: () => {} }
    const config = { schedules: { tick: { every: 1000, worker: 'tick' } } }
    await expect(createTestKernel({ workers: { tick: worker }, config })).rejects.toMatchObject({
      code: 'SCHEDULE_INVALID',
    })
  })

  it.each([
    [{ cron: '61 * * * *' }, '"61 * * * *"'],
    [{ cron: '0 * * * *', timeZone: 'Mars/Olympus' }, 'Mars/Olympus'],
    [{}, 'one of cron, every and at'],
    [{ cron: '0 * * * *', every: 5 }, 'one of cron, every and at'],
    [{ every: 0 }, 'every'],
    [{ every: 5, timeZone: 'UTC' }, 'timeZone needs cron'],
    [{ at: new Date(0), anchor: 5 }, 'anchor needs every'],
    [{ at: 'tomorrow' }, 'at'],
    [{ every: 5, flow: 'f' }, 'one of worker and flow'],
    [{ every: 5, overlap: 'never' as 'skip' }, 'overlap'],
    [{ every: 5, evry: 5 }, 'evry'],
  ])('that makes no sense is refused: %j', async (schedule, named) => {
    const { test } = await noting('2026-01-01T00:00:00Z')
    await expect(test.kernel.schedule('bad', { worker: 'tick', ...schedule })).rejects.toMatchObject({
      code: 'SCHEDULE_INVALID',
      message: expect.stringContaining(named),
    })
    expect(test.kernel.schedules()).toEqual([])
    await test.close()
  })
})
