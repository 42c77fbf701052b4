import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'pathe'
import { createKernel, definePlugin, type Kernel, type KernelConfig } from 'nuxt-queue/kernel'
import { describe, expect, it, onTestFinished } from 'vitest'
import devFile from '../../../presets/dev-file.ts'
import { createVirtualClock, drain, type VirtualClock } from '../../../testing/index.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
/** Between two moments. The clocks change and the outage lasts for several of them. */
const STEP = 15 * MINUTE

/** An application over one folder that can be stopped and started again, in virtual time. */
function restartable(schedules: KernelConfig['schedules']) {
  const dir = mkdtempSync(join(tmpdir(), 'nuxt-queue-week-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  const ran: { at: number; moment: number; name: string }[] = []
  const config: KernelConfig = {
    schedules,
    file: { path: dir, fsync: 'never' },
    registry: { dirs: [] },
    retention: { sweepInterval: 0 },
    abortGrace: 0,
  }
  const start = async (now: number) => {
    const clock = createVirtualClock(now)
    const time = definePlugin({ name: 'time', enforce: 'pre', setup: (kernel) => kernel.provide('clock', clock) })
    const kernel = await createKernel({ preset: devFile, plugins: [time], config })
    await kernel.registerWorker({
      id: 'note',
      handler({ id, createdAt }) {
        const [name, moment] = id.split('.')
        ran.push({ at: createdAt, moment: Number(moment), name: name! })
      },
    })
    await kernel.start()
    return { kernel, clock }
  }
  return { start, ran, of: (name: string) => ran.filter((run) => run.name === name) }
}

/** Moves time from one moment of these schedules to the next: a file takes its time, which virtual time does not wait for. */
async function pass({ kernel, clock }: { kernel: Kernel; clock: VirtualClock }, until: number, step: number) {
  await drain(kernel)
  while (clock.now() < until) {
    const now = clock.now()
    await clock.advance(Math.min(until, now - (now % step) + step) - now)
    await drain(kernel)
  }
}

const range = (from: number, to: number, step: number): number[] =>
  Array.from({ length: Math.ceil((to - from) / step) }, (_, index) => from + index * step)

const timeZone = 'Europe/Berlin'

describe('a week with a change of the clocks and an outage of half an hour', () => {
  it.each([
    { change: 'spring', from: Date.UTC(2026, 2, 26), before: 2, after: 1, changed: 3 },
    { change: 'autumn', from: Date.UTC(2026, 9, 22), before: 1, after: 2, changed: 3 },
  ])('starts each moment once, in $change', async ({ from, before, after, changed }) => {
    const app = restartable({
      nightly: { cron: '0 3 * * *', timeZone, worker: 'note' },
      frequent: { cron: '*/15 * * * *', timeZone, worker: 'note' },
      all: { every: STEP, catchUp: 'all', worker: 'note' },
      none: { every: STEP, catchUp: false, worker: 'note' },
    })
    const stopped = from + 2 * DAY + 10 * HOUR + 2 * MINUTE
    const started = stopped + 30 * MINUTE
    const first = await app.start(from - 1)
    await pass(first, stopped, STEP)
    await first.kernel.close()
    const second = await app.start(started)
    await pass(second, from + 7 * DAY - 1, STEP)
    await second.kernel.close()

    const days = [0, 1, 2, 3, 4, 5, 6]
    const threeOClock = days.map((day) => from + day * DAY + (day < changed ? before : after) * HOUR)
    expect(app.of('nightly').map(({ at }) => at)).toEqual(threeOClock)

    // 10:15 and 10:30 were missed.
    const [missed, last] = [stopped + 13 * MINUTE, stopped + 28 * MINUTE]
    const moments = range(from, from + 7 * DAY, STEP)
    expect(app.of('frequent').map(({ moment }) => moment)).toEqual(moments.filter((moment) => moment !== missed))
    expect(app.of('all').map(({ moment }) => moment)).toEqual(moments)
    expect(app.of('none').map(({ moment }) => moment)).toEqual(
      moments.filter((moment) => moment !== missed && moment !== last),
    )
    const late = app.ran.filter(({ at, moment }) => at !== moment)
    expect(late.map(({ name, at }) => `${name} ${at}`).toSorted()).toEqual(
      ['all', 'all', 'frequent'].map((name) => `${name} ${started}`),
    )
  })

  it('catches up on at most a hundred moments, and otherwise only on the last one', async () => {
    const from = Date.UTC(2026, 0, 1)
    const app = restartable({ all: { every: MINUTE, catchUp: 'all', worker: 'note' } })
    const first = await app.start(from + 1)
    await first.kernel.close()
    const second = await app.start(from + DAY)
    await pass(second, from + DAY + MINUTE, MINUTE)
    await second.kernel.close()
    const expected = [...range(from + MINUTE, from + 101 * MINUTE, MINUTE), from + DAY, from + DAY + MINUTE]
    expect(app.of('all').map(({ moment }) => moment)).toEqual(expected)
  })
})
