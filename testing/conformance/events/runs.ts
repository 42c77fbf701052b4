import { expect, it } from 'vitest'
import type { RunFilter } from '../../../kernel/index.ts'
import type { EventsTest } from './rig.ts'

/** The index of runs, and how ended runs go. */
export function runTests(test: EventsTest): void {
  it(
    'keeps a line for each run that says so, changed with its events',
    test(async ({ append, events, elapse, now }) => {
      const start = now()
      await append('plain', 'a')
      expect(await events.runs.get('plain')).toBeUndefined()
      await append('r', 'a b', { run: { status: 'running', name: 'mail', queue: 'q', jobId: 'j' } })
      const opened = await events.runs.get('r')
      expect(opened).toMatchObject({ runId: 'r', status: 'running', name: 'mail', queue: 'q', jobId: 'j', head: 2 })
      expect(opened!.startedAt).toBeGreaterThanOrEqual(start)
      expect(opened!.endedAt).toBeUndefined()
      await elapse(20)
      await append('r', 'c')
      const touched = await events.runs.get('r')
      expect(touched).toMatchObject({ status: 'running', name: 'mail', head: 3, startedAt: opened!.startedAt })
      expect(touched!.updatedAt).toBeGreaterThanOrEqual(opened!.updatedAt + 15)
      await append('r', 'd', { run: { status: 'completed' } })
      const ended = await events.runs.get('r')
      expect(ended).toMatchObject({ status: 'completed', name: 'mail', queue: 'q', jobId: 'j', head: 4 })
      expect(ended!.endedAt).toBeGreaterThanOrEqual(touched!.updatedAt)
      expect(await events.runs.get('nothing')).toBeUndefined()
    }),
  )

  it(
    'changes nothing of a run when the append is refused',
    test(async ({ append, events }) => {
      await append('r', 'a:k', { run: { status: 'running', name: 'mail' } })
      await append('r', 'b', { unless: 'k', run: { status: 'failed', name: 'other' } })
      expect(await events.runs.get('r')).toMatchObject({ status: 'running', name: 'mail', head: 1 })
    }),
  )

  it(
    'starts a run as running when the change does not say',
    test(async ({ append, events }) => {
      await append('r', 'a', { run: { name: 'flow', flow: 'flow' } })
      expect(await events.runs.get('r')).toMatchObject({ status: 'running', flow: 'flow' })
    }),
  )

  it(
    'lists runs, newest first, by status, flow, name and queue',
    test(async ({ run, append, events, elapse }) => {
      const line = async (runId: string, patch: Parameters<typeof run>[1]): Promise<void> => {
        await run(runId, patch)
        await elapse(3)
      }
      await line('a', { name: 'mail', queue: 'q' })
      await line('b', { name: 'order', flow: 'order' })
      await line('c', { name: 'mail', queue: 'p' })
      await line('d', { name: 'tick', queue: '_schedule' })
      await append('a', 'ends', { run: { status: 'completed' } })
      await append('c', 'ends', { run: { status: 'failed' } })
      const ids = async (filter?: RunFilter): Promise<string[]> =>
        (await events.runs.list(filter)).map(({ runId }) => runId)
      expect(await ids()).toEqual(['d', 'c', 'b', 'a'])
      expect(await ids({ hideInternal: true })).toEqual(['c', 'b', 'a'])
      expect(await ids({ status: 'running' })).toEqual(['d', 'b'])
      expect(await ids({ status: 'running', hideInternal: true })).toEqual(['b'])
      expect(await ids({ status: 'cancelled' })).toEqual([])
      expect(await ids({ name: 'mail' })).toEqual(['c', 'a'])
      expect(await ids({ queue: 'q' })).toEqual(['a'])
      expect(await ids({ flow: 'order' })).toEqual(['b'])
      expect(await ids({ name: 'mail', status: 'completed', queue: 'q' })).toEqual(['a'])
      expect(await ids({ flow: undefined, name: undefined })).toEqual(['d', 'c', 'b', 'a'])
      expect(await ids({ limit: 2 })).toEqual(['d', 'c'])
      expect(await ids({ name: 'mail', limit: 1 })).toEqual(['c'])
    }),
  )

  it(
    'lists a hundred runs unless told otherwise',
    test(async ({ run, events }) => {
      for (let n = 0; n < 101; n++) await run(`r${n}`)
      expect(await events.runs.list()).toHaveLength(100)
      expect(await events.runs.list({ limit: 1000 })).toHaveLength(101)
    }),
  )

  it(
    'keeps the index apart from what is done to its answers',
    test(async ({ run, events }) => {
      await run('r')
      const [listed] = await events.runs.list()
      const got = await events.runs.get('r')
      Object.assign(listed!, { status: 'failed' })
      Object.assign(got!, { status: 'failed' })
      expect(await events.runs.get('r')).toMatchObject({ status: 'running' })
    }),
  )

  it(
    'forgets ended runs by number, the oldest end first, each outcome on its own',
    test(async ({ run, append, events }) => {
      for (const id of ['a', 'b', 'c', 'open']) await run(id)
      for (const id of ['b', 'a', 'c']) await append(id, 'ends', { run: { status: 'completed' } })
      await run('f', { status: 'failed' })
      const left = async (): Promise<string[]> => (await events.runs.list()).map(({ runId }) => runId).toSorted()
      expect(await events.expire({ outcome: 'completed', endedBefore: 0, keep: 3 })).toBe(0)
      expect(await events.expire({ outcome: 'completed', endedBefore: 0, keep: 2 })).toBe(1)
      expect(await left()).toEqual(['a', 'c', 'f', 'open'])
      expect(await events.expire({ outcome: 'completed', endedBefore: 0, keep: 0 })).toBe(2)
      expect(await events.expire({ outcome: 'cancelled', endedBefore: Infinity, keep: 0 })).toBe(0)
      expect(await left()).toEqual(['f', 'open'])
    }),
  )

  it(
    'forgets ended runs by age',
    test(async ({ run, append, events, elapse, now }) => {
      await run('old')
      await run('long')
      await append('old', 'ends', { run: { status: 'failed' } })
      await elapse(60)
      const between = now() - 30
      await append('long', 'ends', { run: { status: 'failed' } })
      expect(await events.expire({ outcome: 'failed', endedBefore: between, keep: 100 })).toBe(1)
      expect(await events.runs.list()).toMatchObject([{ runId: 'long' }])
    }),
  )

  it(
    'forgets a run with its events, keys, fences and snapshots',
    test(async ({ append, events }) => {
      await append('r', 'a:k b', { run: { status: 'completed', name: 'n' }, fence: { job: 'j', token: 9 } })
      await events.snapshots.put('r', { reducer: 'x@1', seq: 2, state: {} })
      await append('stream', 'a:k')
      expect(await events.expire({ outcome: 'completed', endedBefore: 0, keep: 0 })).toBe(1)
      expect(await events.read('r')).toEqual([])
      expect(await events.head('r')).toBe(0)
      expect(await events.byKey('r', 'k')).toBeUndefined()
      expect(await events.snapshots.get('r', 'x@1')).toBeUndefined()
      expect(await events.runs.get('r')).toBeUndefined()
      expect(await append('r', 'c:k', { fence: { job: 'j', token: 1 } })).toMatchObject({ ok: true, head: 1 })
      expect(await events.head('stream')).toBe(1)
    }),
  )

  it(
    'keeps a run that was opened again, until it ends anew',
    test(async ({ run, append, events }) => {
      await run('r')
      await append('r', 'ends', { run: { status: 'failed' } })
      await append('r', 'again', { reopen: true, run: { status: 'running' } })
      expect(await events.expire({ outcome: 'failed', endedBefore: Infinity, keep: 0 })).toBe(0)
      await append('r', 'ends', { run: { status: 'completed' } })
      expect(await events.expire({ outcome: 'failed', endedBefore: Infinity, keep: 0 })).toBe(0)
      expect(await events.expire({ outcome: 'completed', endedBefore: Infinity, keep: 0 })).toBe(1)
    }),
  )
}
