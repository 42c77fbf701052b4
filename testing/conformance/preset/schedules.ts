import { expect, it } from 'vitest'
import { codeOf } from '../harness.ts'
import type { PresetTest } from './rig.ts'

/** Tests scheduled starts. The intervals are short, and the tests do not depend on how many pass, only on each starting once. */
export function scheduleTests(test: PresetTest): void {
  it(
    'starts a worker once for each moment, which names the job',
    test(async ({ kernel, start, until }) => {
      const ran: { id: string; data: unknown }[] = []
      await start({ w: ({ id, data }) => void ran.push({ id, data }) })
      const data = (moment: Date): number => moment.getTime()
      for (let instance = 0; instance < 3; instance++) await kernel.schedule('often', { every: 200, worker: 'w', data })
      await until('five moments have passed', () => ran.length >= 5)
      expect(kernel.unschedule('often')).toBe(true)
      const moments = ran.map((job) => Number(job.data))
      expect(ran.map(({ id }) => id)).toEqual(moments.map((moment) => `often.${moment}`))
      expect(moments.every((moment) => moment % 200 === 0)).toBe(true)
      expect(moments).toEqual([...new Set(moments)].toSorted((a, b) => a - b))
    }),
  )

  it(
    'starts a flow at a moment, once',
    test(async ({ kernel, start, now, event }) => {
      const entry = { flow: { name: 'f', role: 'entry' } } as const
      await start({ first: [entry, ({ data }) => data] })
      const at = now() + 3000
      await kernel.schedule('launch', { at: new Date(at), flow: 'f', data: 'go' })
      expect(kernel.schedules()).toMatchObject([{ name: 'launch', flow: 'f', next: at }])
      expect((await event(`launch.${at}`, 'end')).data).toEqual({ result: 'go' })
      await kernel.schedule('launch', { at: new Date(at), flow: 'f', data: 'again' })
      expect(kernel.schedules()).toMatchObject([{ name: 'launch', next: undefined }])
    }),
  )

  it(
    'pauses, resumes, runs, replaces, removes and restores a schedule for all processes',
    test(async ({ kernel, sibling, start, until, now }) => {
      const ran: unknown[] = []
      await start({ w: ({ data }) => void ran.push(data) })
      const other = await sibling()
      const far = { at: now() + 3_600_000, worker: 'w' }
      await kernel.schedule('code', { ...far, data: 'code' })
      expect(await codeOf(() => other.saveSchedule('bad', { every: 100, worker: '_schedule/tick' }))).toBe(
        'NAME_RESERVED',
      )
      expect(await codeOf(() => other.saveSchedule('bad', { cron: 'x', worker: 'w' }))).toBe('SCHEDULE_INVALID')
      expect(await codeOf(() => other.pauseSchedule('none'))).toBe('SCHEDULE_UNKNOWN')

      const every = { every: 100, worker: 'w' }
      await other.saveSchedule('often', { ...every, data: 'first' })
      await until('it has run', () => ran.includes('first'))
      const listed = async () => (await kernel.scheduleDetails()).find(({ name }) => name === 'often')
      expect(await listed()).toMatchObject({ ...every, source: 'shared', paused: false, upcoming: { length: 5 } })
      await until('an outcome is listed', async () =>
        (await listed())?.recent.some(({ status }) => status === 'completed'),
      )
      await other.saveSchedule('often', { ...every, data: 'second' })
      await until('it has run with other data', () => ran.includes('second'))

      await other.pauseSchedule('often')
      expect(await listed()).toMatchObject({ paused: true })
      const { at: byHand } = await kernel.runSchedule('often')
      await until('the manual run is among the outcomes', async () =>
        (await listed())?.recent.some(({ at, status }) => at === byHand && status === 'completed'),
      )
      await other.saveSchedule('mark', { at: now() + 500, worker: 'w', data: 'mark' })
      await until('half a second has passed', () => ran.includes('mark'))
      const before = ran.filter((data) => data === 'second').length
      await other.saveSchedule('again', { at: now() + 500, worker: 'w', data: 'again' })
      await until('another half has passed', () => ran.includes('again'))
      expect(ran.filter((data) => data === 'second')).toHaveLength(before)
      await other.resumeSchedule('often')
      await until('it runs again', () => ran.filter((data) => data === 'second').length > before)
      await other.removeSchedule('often')
      expect(await listed()).toBeUndefined()

      await other.removeSchedule('code').catch(() => kernel.removeSchedule('code'))
      const running = async () => (await kernel.scheduleDetails()).filter(({ removed }) => !removed)
      expect((await running()).map(({ name }) => name)).toEqual(['mark', 'again'])
      expect((await kernel.scheduleDetails()).find(({ removed }) => removed)).toMatchObject({
        ...{ name: 'code', source: 'code', upcoming: [] },
      })
      await kernel.resumeSchedule('code')
      expect((await running()).map(({ name }) => name)).toContain('code')
      expect((await kernel.scheduleDetails()).map(({ name }) => name)).toContain('code')
      expect(kernel.schedules()).toMatchObject([{ name: 'code' }])

      const hour = 3_600_000
      await kernel.saveSchedule('hourly', { every: hour, worker: 'w', data: 'filled' })
      const from = (Math.floor(now() / hour) - 3) * hour
      const range = { from, to: from + 3 * hour }
      expect(await kernel.backfillSchedule('hourly', range)).toEqual({ moments: [from, from + hour, from + 2 * hour] })
      await until('the range is filled', () => ran.filter((data) => data === 'filled').length === 3)
      await kernel.backfillSchedule('hourly', range)
      await until('the ticks have ended', async () => {
        const { waiting, active } = await kernel.port('queue').getJobCounts('_schedule')
        return waiting + active === 0
      })
      expect(ran.filter((data) => data === 'filled')).toHaveLength(3)
    }),
  )

  it(
    'skips moments while an earlier job has not ended, with the policy "skip"',
    test(async ({ kernel, start, until }) => {
      const gate = Promise.withResolvers<void>()
      const began: string[] = []
      await start({
        busy: [
          { concurrency: 5 },
          async ({ id }) => {
            began.push(id)
            await gate.promise
          },
        ],
        w: () => {},
      })
      await kernel.schedule('busy', { every: 100, worker: 'busy', overlap: 'skip' })
      await until('it works', () => began.length > 0)
      // Another schedule with the same interval shows that time passes.
      let passed = 0
      const stop = kernel.port('queue').on('w', 'completed', () => void passed++)
      await kernel.schedule('beside', { every: 100, worker: 'w' })
      await until('four moments have passed', () => passed >= 4)
      stop()
      const counts = await kernel.port('queue').getJobCounts('busy')
      expect([began.length, counts.active, counts.waiting]).toEqual([1, 1, 0])
      gate.resolve()
      await until('the next moment starts it again', () => began.length > 1)
    }),
  )

  it(
    'cancels the job of an earlier moment, with the policy "replace"',
    test(async ({ kernel, start, until }) => {
      const began: string[] = []
      const stopped: string[] = []
      await start({
        slow: [
          { concurrency: 10 },
          async ({ id }, { signal }) => {
            began.push(id)
            await new Promise((resolve) => signal.addEventListener('abort', resolve))
            stopped.push(id)
          },
        ],
      })
      await kernel.schedule('slow', { every: 300, worker: 'slow', overlap: 'replace' })
      await until('the third one runs', () => began.length >= 3)
      kernel.unschedule('slow')
      const ticking = async (): Promise<number> => (await kernel.port('queue').getJobCounts('_schedule')).active
      await until('no tick is under way', async () => (await ticking()) === 0)
      await until('the earlier ones have stopped', () => stopped.length >= began.length - 1)
      expect(stopped).toEqual(began.slice(0, -1))
      const states = (await kernel.port('queue').getJobs({ queue: 'slow' })).map(({ state }) => state)
      expect(states.toSorted()).toEqual(['active', ...stopped.map(() => 'cancelled')])
    }),
  )

  it(
    'continues after its queued tick was removed, when the next start declares it again',
    test(async ({ kernel, start, until, now }) => {
      const ran: string[] = []
      await start({ w: ({ id }) => void ran.push(id) })
      const at = now() + 3000
      await kernel.schedule('s', { at, worker: 'w' })
      const [tick] = await kernel.port('queue').getJobs({ queue: '_schedule', states: ['delayed'] })
      expect(await kernel.port('queue').remove('_schedule', tick!.id)).toBe(true)
      await kernel.schedule('s', { at, worker: 'w' })
      await until('it has run', () => ran.length > 0)
      expect(ran).toEqual([`s.${at}`])
    }),
  )
}
