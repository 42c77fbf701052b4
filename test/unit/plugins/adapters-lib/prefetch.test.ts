import { describe, expect, it } from 'vitest'
import { createPrefetch } from '../../../../plugins/adapters/lib/prefetch.ts'

/** Simulates a consumer whose polls take `ms` milliseconds, during each of which `jobs` jobs succeed. */
function run({ polls, ms, jobs }: { polls: number; ms: number; jobs: number }) {
  const time = { now: 0 }
  const prefetch = createPrefetch(() => time.now)
  const go = (count: number, each = jobs): void => {
    for (let poll = 0; poll < count; poll++) {
      time.now += ms
      for (let job = 0; job < each; job++) prefetch.handled()
      prefetch.polled(ms)
    }
  }
  go(polls)
  return { prefetch, go }
}

describe('the prefetch of a consumer', () => {
  it('prefetches nothing before it has measured how fast jobs are', () => {
    expect(run({ polls: 0, ms: 10, jobs: 0 }).prefetch.count).toBe(0)
  })

  it('prefetches three times the jobs that succeed during a poll', () => {
    expect(run({ polls: 40, ms: 10, jobs: 50 }).prefetch.count).toBeCloseTo(150, -1)
  })

  it('prefetches nothing if jobs take long', () => {
    const { prefetch, go } = run({ polls: 40, ms: 10, jobs: 50 })
    go(40, 0)
    expect(prefetch.count).toBe(0)
  })

  it('prefetches at most the jobs of 100 ms and at most 512, however long polls take', () => {
    expect(run({ polls: 40, ms: 1000, jobs: 1000 }).prefetch.count).toBeCloseTo(100, -1)
    expect(run({ polls: 40, ms: 1000, jobs: 100_000 }).prefetch.count).toBe(512)
  })

  it('starts again from zero when a prefetched job had to wait', () => {
    const { prefetch } = run({ polls: 40, ms: 10, jobs: 50 })
    prefetch.slow()
    expect(prefetch.count).toBe(0)
  })
})
