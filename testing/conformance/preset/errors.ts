import { expect, it } from 'vitest'
import { codeOf } from '../harness.ts'
import type { PresetTest } from './rig.ts'

/** Tests error groups. */
export function errorTests(test: PresetTest): void {
  it(
    'groups similar errors, shares the groups with other processes, and reopens resolved groups',
    test(async ({ kernel, sibling, start, reach }) => {
      const fail = ({ data }: { data: unknown }): never => {
        throw new Error(`order ${String(data)} is not paid`)
      }
      await start({ pay: [{ attempts: 2 }, fail], ship: fail })
      const first = await kernel.enqueue('pay', 17)
      const last = await kernel.enqueue('pay', 18)
      for (const job of [first, last, await kernel.enqueue('ship', 1)]) await reach(job, 'failed')
      const other = await sibling()
      const groups = await kernel.errors({ queue: 'pay' })
      const message = 'order … is not paid'
      expect(groups).toMatchObject([
        { name: 'Error', message, worker: 'pay', count: 4, status: 'open', regressed: false },
      ])
      expect(groups[0]!.jobs[0]).toMatchObject({ message: expect.stringMatching(/^order 1[78] is/) as string })
      const { fingerprint } = groups[0]!
      expect(await other.setErrorStatus(fingerprint, 'resolved')).toMatchObject({ status: 'resolved', count: 4 })
      expect((await kernel.errors({ status: 'open' })).map(({ worker }) => worker)).toEqual(['ship'])
      await reach(await kernel.enqueue('pay', 19, { attempts: 1 }), 'failed')
      expect(await kernel.errorGroup(fingerprint)).toMatchObject({ status: 'open', regressed: true, count: 5 })
      expect(await other.errorGroup(fingerprint)).toMatchObject({ regressed: true, count: 5 })
      expect(await codeOf(() => kernel.errorGroup('nothing'))).toBe('ERROR_UNKNOWN')
      expect(await codeOf(() => kernel.setErrorStatus(fingerprint, 'gone' as never))).toBe('OPTION_INVALID')
    }),
  )
}
