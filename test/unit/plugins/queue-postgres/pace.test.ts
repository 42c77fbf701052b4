import { describe, expect, it } from 'vitest'
import { createPace } from '../../../../plugins/adapters/postgres/queue/pace.ts'

/** A consumer whose turns take so many milliseconds, in each of which so many jobs succeed. */
function run({ turns, ms, jobs }: { turns: number; ms: number; jobs: number }) {
  const time = { now: 0 }
  const pace = createPace(() => time.now)
  const go = (count: number, each = jobs): void => {
    for (let turn = 0; turn < count; turn++) {
      time.now += ms
      for (let job = 0; job < each; job++) pace.handled()
      pace.turned(ms)
    }
  }
  go(turns)
  return { pace, go }
}

describe('the pace of a consumer', () => {
  it('claims nothing ahead before it knows how quick jobs are', () => {
    expect(run({ turns: 0, ms: 10, jobs: 0 }).pace.ahead).toBe(0)
  })

  it('claims three times what succeeds during a turn', () => {
    expect(run({ turns: 40, ms: 10, jobs: 50 }).pace.ahead).toBeCloseTo(150, -1)
  })

  it('claims nothing ahead of jobs that take long', () => {
    const { pace, go } = run({ turns: 40, ms: 10, jobs: 50 })
    go(40, 0)
    expect(pace.ahead).toBe(0)
  })

  it('looks no further than 100 ms and 512 jobs ahead, however long turns take', () => {
    expect(run({ turns: 40, ms: 1000, jobs: 1000 }).pace.ahead).toBeCloseTo(100, -1)
    expect(run({ turns: 40, ms: 1000, jobs: 100_000 }).pace.ahead).toBe(512)
  })

  it('begins anew when what it claimed had to wait', () => {
    const { pace } = run({ turns: 40, ms: 10, jobs: 50 })
    pace.slow()
    expect(pace.ahead).toBe(0)
  })
})
