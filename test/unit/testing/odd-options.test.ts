import { createTestKernel, createVirtualClock, expectReplay, toMilliseconds } from 'nuxt-queue/testing'
import { describe, expect, it } from 'vitest'

const INVALID = { code: 'OPTION_INVALID' }

describe('options of the testing kit', () => {
  it.each<[string, unknown]>([
    ['an unknown option', { workrs: {} }],
    ['a list of workers', { workers: [() => {}] }],
    ['a worker without a handler', { workers: { mail: {} } }],
    ['a worker that is no function', { workers: { mail: 5 } }],
    ['a start that is no date', { now: 'today' }],
    ['a value that is no object', 5],
  ])('createTestKernel() refuses %s', async (_what, options) => {
    await expect(createTestKernel(options as never)).rejects.toMatchObject(INVALID)
  })

  it.each([Number.NaN, -1, Infinity, '1x', '-1s', '1.2.3s', '', undefined, null])(
    'advance() refuses %o, and time stands still',
    async (duration) => {
      const clock = createVirtualClock()
      const before = clock.now()
      await expect(clock.advance(duration as never)).rejects.toMatchObject(INVALID)
      expect(clock.now()).toBe(before)
    },
  )

  it.each([
    [1500, 1500],
    ['500ms', 500],
    ['1.5s', 1500],
    ['2d', 172_800_000],
  ] as const)('reads the duration %o as %i milliseconds', (duration, ms) => {
    expect(toMilliseconds(duration)).toBe(ms)
  })

  it.each(['today', Number.NaN, new Date('oops')])('createVirtualClock() refuses %o', (start) => {
    expect(() => createVirtualClock(start as never)).toThrow(expect.objectContaining(INVALID))
  })

  it.each([{ plugin: [] }, { timeout: Number.NaN }, 5])('expectReplay() refuses %o', async (options) => {
    await expect(expectReplay({}, 'histories/*.jsonl', options as never)).rejects.toMatchObject(INVALID)
  })
})
