import { expect, it } from 'vitest'
import { createVirtualClock, toMilliseconds, VIRTUAL_EPOCH } from '../../../testing/index.ts'

it('stands still until it is advanced, and fires timers in order at their moments', async () => {
  const clock = createVirtualClock()
  const fired: [string, number][] = []
  const note = (name: string) => () => void fired.push([name, clock.now() - VIRTUAL_EPOCH])
  clock.setTimeout(note('late'), 300)
  clock.setTimeout(note('first'), 100)
  clock.setTimeout(note('second'), 100)
  const cancel = clock.setTimeout(note('never'), 200)
  cancel()
  await clock.advance(250)
  expect(fired).toEqual([
    ['first', 100],
    ['second', 100],
  ])
  expect([clock.now() - VIRTUAL_EPOCH, clock.timers]).toEqual([250, 1])
  await clock.advance('1s')
  expect(fired.at(-1)).toEqual(['late', 300])
})

it('fires timers that are set by other timers within the same advance', async () => {
  const clock = createVirtualClock(0)
  const ticks: number[] = []
  const tick = (): void => {
    ticks.push(clock.now())
    clock.setTimeout(tick, 10)
  }
  clock.setTimeout(tick, 10)
  await clock.advance(35)
  expect(ticks).toEqual([10, 20, 30])
})

it('reads durations', () => {
  expect(['5ms', '2s', '1.5m', '3h', '1d'].map((text) => toMilliseconds(text as '1s'))).toEqual([
    5, 2000, 90_000, 10_800_000, 86_400_000,
  ])
  expect(() => toMilliseconds('soon' as '1s')).toThrow(/got "soon"/)
})
