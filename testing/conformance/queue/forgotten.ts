import { expect, it } from 'vitest'
import type { CleanPolicy, JobFlow } from '../../../kernel/index.ts'
import { completed, failed, type QueueTest } from './rig.ts'

const ALL = { outcome: 'completed', endedBefore: 0, keep: 0 } as const satisfies CleanPolicy
const HOUR = 3_600_000

/** Tests that ids chosen by callers are remembered after their jobs were removed. */
export function forgottenTests(test: QueueTest): void {
  it(
    'remembers an id that a caller chose for the configured time after its job was removed',
    test(async ({ queue, add, draft, work, reach, get, heard }) => {
      const claims = await work(({ job }) => (job.id === 'bad' ? failed() : completed()))
      const step: JobFlow = { name: 'f', step: 's', cause: 'c' }
      await add({ id: 'given' })
      await add({ id: 'a:b {c} 7' })
      await add({ id: 'bad' })
      await add({ id: 'made', runId: 'made' })
      await add({ id: 'step', flow: step })
      await add({ id: 'entry', flow: { name: 'f', step: 's', named: true } })
      const ids = ['given', 'a:b {c} 7', 'made', 'step', 'entry']
      for (const id of ids) await reach(id, 'completed')
      await reach('bad', 'failed')
      expect(await queue.forgotten('q', 'given')).toBeUndefined()
      expect(await queue.clean({ ...ALL, rememberFor: HOUR })).toBe(5)
      expect(await queue.clean({ ...ALL, outcome: 'failed', rememberFor: HOUR })).toBe(1)
      expect(await queue.getJobs()).toEqual([])

      for (const id of ['given', 'a:b {c} 7', 'entry', 'bad']) {
        expect(await queue.getJob('q', id)).toBeUndefined()
        expect(await queue.forgotten('q', id)).toBe(`run-${id}`)
      }
      for (const id of ['made', 'step', 'nobody']) expect(await queue.forgotten('q', id)).toBeUndefined()
      expect(await queue.forgotten('other', 'given')).toBeUndefined()

      const before = heard.length
      const known = { id: 'given', runId: 'run-given', deduplicated: true }
      expect(await add({ id: 'given', runId: 'again' })).toEqual(known)
      expect(await add({ id: 'entry', runId: 'again', flow: { name: 'f', step: 's', named: true } })).toEqual({
        id: 'entry',
        runId: 'run-entry',
        deduplicated: true,
      })
      expect(heard).toHaveLength(before)
      const many = [
        { id: 'given', runId: 'again' },
        { id: 'new' },
        { id: 'a:b {c} 7', runId: 'again' },
        { id: 'given', runId: 'again' },
        { id: 'given', queue: 'other' },
      ]
      expect(await queue.enqueueMany(many.map(draft))).toEqual([
        known,
        { id: 'new', runId: 'run-new', deduplicated: false },
        { id: 'a:b {c} 7', runId: 'run-a:b {c} 7', deduplicated: true },
        known,
        { id: 'given', runId: 'run-given', deduplicated: false },
      ])
      await reach('new', 'completed')
      // A generated id is free when its job is removed. So is the id of a flow step, because the events of its run contain it.
      for (const id of ['made', 'step'])
        expect(await add({ id, runId: 'second' })).toMatchObject({ deduplicated: false })
      await reach('step', 'completed')
      expect((await get('step')).runId).toBe('second')
      expect(claims.filter(({ job }) => job.id === 'given')).toHaveLength(1)
    }),
  )

  it(
    'frees a remembered id when it is removed, and when its time is over',
    test(async ({ queue, add, work, reach, elapse }) => {
      await work(() => completed())
      const forget = async (id: string, rememberFor: number): Promise<void> => {
        await add({ id })
        await reach(id, 'completed')
        await queue.clean({ ...ALL, rememberFor })
      }
      await forget('removed', HOUR)
      expect(await queue.remove('q', 'removed')).toBe(true)
      expect(await queue.remove('q', 'removed')).toBe(false)
      expect(await queue.forgotten('q', 'removed')).toBeUndefined()
      expect(await add({ id: 'removed', runId: 'new' })).toMatchObject({ runId: 'new', deduplicated: false })
      await reach('removed', 'completed')

      await forget('late', 1)
      await elapse(20)
      expect(await queue.forgotten('q', 'late')).toBeUndefined()
      expect(await add({ id: 'late', runId: 'new' })).toMatchObject({ runId: 'new', deduplicated: false })
      await reach('late', 'completed')

      // The id is remembered again after its second end.
      await queue.clean({ ...ALL, rememberFor: HOUR })
      expect(await add({ id: 'late' })).toMatchObject({ runId: 'new', deduplicated: true })
    }),
  )
}
