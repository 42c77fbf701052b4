import { describe, expect, it } from 'vitest'
import { createTestKernel, type TestKernel } from '../../../testing/index.ts'

/** A kernel that notes when its worker `tick` ran, as ISO text without milliseconds. */
async function noting(now: string, config?: object): Promise<{ test: TestKernel; ran: string[] }> {
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

  it('keeps to its time zone across the change to daylight saving time', async () => {
    const { test, ran } = await noting('2026-03-27T12:00:00Z', {
      nightly: { cron: '0 3 * * *', worker: 'tick', timeZone: 'Europe/Berlin' },
    })
    await test.advance('4d')
    expect(ran).toEqual(['2026-03-28T02:00', '2026-03-29T01:00', '2026-03-30T01:00', '2026-03-31T01:00'])
    await test.close()
  })

  it('passes data along and names each job after its moment', async () => {
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

  it('runs a tick once however often it is sown', async () => {
    const { test, ran } = await noting('2026-01-01T00:30:00Z')
    const hourly = { cron: '0 * * * *', timeZone: 'UTC', worker: 'tick' }
    for (let instance = 0; instance < 3; instance++) await test.kernel.schedule('hourly', hourly)
    await test.advance('2h')
    expect(ran).toEqual(['2026-01-01T01:00', '2026-01-01T02:00'])
    await test.close()
  })

  it('forgets the old ticks of a schedule that has changed, and stops when told to', async () => {
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

  it('refuses expressions and time zones that make no sense', async () => {
    const { test } = await noting('2026-01-01T00:00:00Z')
    const schedule = (cron: string, timeZone?: string) =>
      test.kernel.schedule('bad', { cron, timeZone, worker: 'tick' })
    await expect(schedule('61 * * * *')).rejects.toMatchObject({
      code: 'SCHEDULE_INVALID',
      message: expect.stringContaining('"61 * * * *"'),
    })
    await expect(schedule('0 * * * *', 'Mars/Olympus')).rejects.toMatchObject({
      code: 'SCHEDULE_INVALID',
      message: expect.stringContaining('Mars/Olympus'),
    })
    await test.close()
  })
})
