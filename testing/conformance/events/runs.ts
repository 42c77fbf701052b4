import { expect, it } from 'vitest'
import type { EventsTest } from './rig.ts'

/** Tests the index of runs, and the deletion of ended runs. */
export function runTests(test: EventsTest): void {
  it(
    'keeps an index entry for each run and updates it with the events',
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
    'stores a run that begins and ends in one append like any other run',
    test(async ({ append, events, seqs }) => {
      const drafts = [
        { type: 'a', data: { n: 1, text: 'a "quoted" \\u0000 \u0001' } },
        { type: 'b', key: 'k', flow: 'f', step: 's', stepId: 'i', attempt: 2, data: 'text' },
        { type: 'c' },
      ]
      const fence = { job: 'j', token: 5 }
      const stored = await append('r', drafts, { unless: 'k', fence, run: { status: 'failed', name: 'n' } })
      expect(await events.read('r')).toEqual(stored.ok && stored.events)
      expect(await events.read('r')).toMatchObject(drafts)
      expect(await seqs('r', { after: 1 })).toEqual([2, 3])
      expect(await seqs('r', { until: 2 })).toEqual([1, 2])
      expect(await seqs('r', { types: ['a', 'c'] })).toEqual([1, 3])
      expect(await seqs('r', { limit: 2 })).toEqual([1, 2])
      expect(await seqs('r', { limit: 2, reverse: true })).toEqual([3, 2])
      expect(await events.byKey('r', 'k')).toMatchObject({ seq: 2, type: 'b', stepId: 'i' })
      expect(await events.byKey('r', 'other')).toBeUndefined()
      expect(await append('r', 'x', { unless: 'k', reopen: true })).toEqual({ ok: false, reason: 'unless', head: 3 })
      expect(await append('r', 'x')).toEqual({ ok: false, reason: 'ended', head: 3 })
      const late = await append('r', 'x', { reopen: true, fence: { job: 'j', token: 4 } })
      expect(late).toEqual({ ok: false, reason: 'fence', head: 3 })
      expect(await events.read('r')).toEqual(stored.ok && stored.events)
      expect(await append('r', 'again:k d', { reopen: true })).toMatchObject({ ok: true, head: 4 })
      expect(await events.read('r', { until: 3 })).toEqual(stored.ok && stored.events)
      expect(await seqs('r')).toEqual([1, 2, 3, 4])
      expect(await events.byKey('r', 'k')).toMatchObject({ seq: 2 })
    }),
  )

  it(
    'distinguishes runs that begin and end in one append from runs that began earlier, in one group',
    test(async ({ append, events }) => {
      const run = { status: 'completed', name: 'n', queue: 'q', jobId: 'j', flow: 'f' } as const
      await append('begun', 'a:k', { run: { name: 'm' } })
      await append('ended', 'a b', { run })
      await append('claimed', 'a', { run: { name: 'm' }, fence: { job: 'j', token: 3 } })
      const results = await Promise.all([
        append('new', 'a b:k c', { run, unless: 'k' }),
        append('begun', 'again:k b c', { run }),
        append('ended', 'x y', { run }),
        append('claimed', 'x y', { run, fence: { job: 'j', token: 2 } }),
        append('newer', 'a b', { run }),
        append('begun', 'x y', { run, unless: 'k' }),
      ])
      expect(results).toMatchObject([
        { ok: true, head: 3, events: [{ type: 'a', seq: 1 }, { seq: 2 }, { seq: 3 }] },
        {
          ok: true,
          head: 3,
          events: [
            { type: 'b', seq: 2 },
            { type: 'c', seq: 3 },
          ],
        },
        { ok: false, reason: 'ended', head: 2 },
        { ok: false, reason: 'fence', head: 1 },
        { ok: true, head: 2 },
        { ok: false, reason: 'unless', head: 3 },
      ])
      expect((await events.read('begun')).map(({ type }) => type)).toEqual(['a', 'b', 'c'])
      for (const runId of ['new', 'newer', 'begun', 'ended'])
        expect(await events.runs.get(runId)).toMatchObject({ ...run, runId })
      expect(await events.runs.get('claimed')).toMatchObject({ status: 'running', name: 'm' })
    }),
  )

  it(
    'trims a run that began and ended in one append',
    test(async ({ append, events, seqs }) => {
      await append('r', 'a b:k c', { run: { status: 'completed', name: 'n' } })
      await events.snapshots.put('r', { reducer: 'x@1', seq: 2, state: {} })
      await events.trim('r', 2)
      expect(await seqs('r', { after: 2 })).toEqual([3])
      expect(await append('r', 'x', { unless: 'k', reopen: true })).toEqual({ ok: false, reason: 'unless', head: 3 })
      expect(await events.runs.get('r')).toMatchObject({ status: 'completed', head: 3 })
    }),
  )

  it(
    'deletes streams that are not runs, unless they have grown',
    test(async ({ append, events, seqs, run }) => {
      const many = Array.from({ length: 50 }, () => 'x').join(' ')
      for (let n = 0; n < 60; n++) await append('long', many)
      await append('keyed', 'a:k b', { fence: { job: 'j', token: 7 } })
      await events.snapshots.put('keyed', { reducer: 'x@1', seq: 2, state: {} })
      await append('trimmed', 'a b c')
      await events.snapshots.put('trimmed', { reducer: 'x@1', seq: 3, state: {} })
      await events.trim('trimmed', 2)
      await append('grown', 'a b')
      await run('run')
      const shorts = Array.from({ length: 300 }, (_, n) => ({ stream: `short${n}`, seq: 1 }))
      await Promise.all(shorts.map(({ stream }) => append(stream, 'a')))
      const heads = { long: 3000, keyed: 2, trimmed: 3, grown: 1, run: 1, nothing: 1 }
      const given = Object.entries(heads).map(([stream, seq]) => ({ stream, seq }))
      expect(await events.forget([...given, ...shorts])).toBe(303)
      for (const stream of ['long', 'keyed', 'trimmed', 'short0', 'short299']) {
        expect(await events.head(stream)).toBe(0)
        expect(await seqs(stream)).toEqual([])
      }
      expect(await events.snapshots.get('keyed', 'x@1')).toBeUndefined()
      expect(await events.byKey('keyed', 'k')).toBeUndefined()
      expect(await append('keyed', 'c:k', { fence: { job: 'j', token: 1 } })).toMatchObject({ ok: true, head: 1 })
      expect(await seqs('grown')).toEqual([1, 2])
      expect(await seqs('run')).toEqual([1])
      expect(await events.forget([])).toBe(0)
    }),
  )

  it(
    'does not change a run if the append is rejected',
    test(async ({ append, events }) => {
      await append('r', 'a:k', { run: { status: 'running', name: 'mail' } })
      await append('r', 'b', { unless: 'k', run: { status: 'failed', name: 'other' } })
      expect(await events.runs.get('r')).toMatchObject({ status: 'running', name: 'mail', head: 1 })
    }),
  )

  it(
    'starts a run with status "running" unless the append sets another',
    test(async ({ append, events }) => {
      await append('r', 'a', { run: { name: 'flow', flow: 'flow' } })
      expect(await events.runs.get('r')).toMatchObject({ status: 'running', flow: 'flow' })
    }),
  )

  it(
    'lists runs, newest first, by status, flow, name and queue',
    test(async ({ run, append, elapse, ids }) => {
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
    'finds runs by a tag and other filters, newest first',
    test(async ({ run, append, events, elapse, ids }) => {
      for (const [runId, tags, name] of [
        ['a', ['red', 'big'], 'mail'],
        ['b', ['red'], 'order'],
        ['c', undefined, 'mail'],
        ['d', ['blue', 'red', 'blue'], 'mail'],
        ['e', [], 'mail'],
      ] as const) {
        await run(runId, { name, tags })
        await elapse(3)
      }
      await append('a', 'ends', { run: { status: 'completed' } })
      expect((await events.runs.get('a'))?.tags).toEqual(['red', 'big'])
      expect((await events.runs.get('d'))?.tags).toEqual(['blue', 'red'])
      expect((await events.runs.get('c'))?.tags).toBeUndefined()
      expect((await events.runs.get('e'))?.tags).toBeUndefined()
      expect(await ids({ tag: 'red' })).toEqual(['d', 'b', 'a'])
      expect(await ids({ tag: 'blue' })).toEqual(['d'])
      expect(await ids({ tag: 'none' })).toEqual([])
      expect(await ids({ tag: 'red', status: 'running' })).toEqual(['d', 'b'])
      expect(await ids({ tag: 'red', status: 'completed', name: 'mail' })).toEqual(['a'])
      expect(await ids({ tag: 'red', name: 'mail', limit: 1 })).toEqual(['d'])
      const { startedAt } = (await events.runs.get('b'))!
      expect(await ids({ tag: 'red', startedBefore: startedAt })).toEqual(['a'])
    }),
  )

  it(
    'replaces tags, and deletes them with the run',
    test(async ({ run, append, events, ids }) => {
      await run('r', { tags: ['red', 'big'], flow: 'f' })
      await append('r', 'a', { unless: 'k', run: { tags: ['red', 'blue'] } })
      expect([await ids({ tag: 'big' }), await ids({ tag: 'blue' }), await ids({ tag: 'red' })]).toEqual([
        [],
        ['r'],
        ['r'],
      ])
      await append('r', 'b', { run: { tags: [] } })
      expect([await ids({ tag: 'blue' }), await ids({ tag: 'red' }), await ids({ flow: 'f' })]).toEqual([[], [], ['r']])
      await append('r', 'c', { run: { tags: ['late'] } })
      expect(await ids({ tag: 'late' })).toEqual(['r'])
      await append('r', 'ends', { run: { status: 'completed' } })
      expect((await events.runs.get('r'))?.tags).toEqual(['late'])
      await append('r', 'later', { run: { tags: ['refused'] } })
      expect(await ids({ tag: 'refused' })).toEqual([])
      expect(await events.expire({ outcome: 'completed', endedBefore: 0, keep: 0 })).toBe(1)
      expect([await ids({ tag: 'late' }), await ids({ flow: 'f' })]).toEqual([[], []])
      await run('r')
      expect(await ids({ tag: 'late' })).toEqual([])
    }),
  )

  it(
    'lists runs page by page without a gap, even if many began at the same time',
    test(async ({ run, append, events, elapse, ids, pages }) => {
      const names = Array.from({ length: 40 }, (_, n) => `r${n}`)
      const half = async (some: readonly string[]): Promise<void> => {
        await Promise.all(some.map((id, n) => run(id, { flow: n % 2 === 0 ? 'even' : undefined, tags: ['t'] })))
      }
      await half(names.slice(0, 20))
      await elapse(3)
      await half(names.slice(20))
      for (const id of names.slice(15, 25)) await append(id, 'ends', { run: { status: 'completed' } })
      const all = await ids()
      expect(all.toSorted()).toEqual(names.toSorted())
      for (const filter of [
        {},
        { tag: 't' },
        { flow: 'even' },
        { status: 'running' },
        { status: 'completed' },
      ] as const) {
        const whole = await ids(filter)
        expect(whole).toEqual(all.filter((id) => whole.includes(id)))
        for (const limit of [1, 3, 7]) expect(await pages(filter, limit)).toEqual(whole)
      }
      const first = (await events.runs.get(all[20]!))!.startedAt
      expect((await ids({ startedBefore: first })).every((id) => all.indexOf(id) > 19)).toBe(true)
      expect(await ids({ startedBefore: first + 1 })).toEqual(expect.arrayContaining(all.slice(20)))
      expect(await ids({ startedBefore: Infinity })).toEqual(all)
      expect(await ids({ startedBefore: 0 })).toEqual([])
    }),
  )

  it(
    'continues after a removed run, and lists every run of the same millisecond',
    test(async ({ run, append, events, elapse, ids }) => {
      await Promise.all(['a', 'b', 'c', 'd'].map((id) => run(id, { tags: ['t'] })))
      await elapse(3)
      await run('e', { tags: ['t'] })
      const [, gone, ...rest] = await events.runs.list({ tag: 't' })
      await append(gone!.runId, 'ends', { run: { status: 'failed' } })
      await events.expire({ outcome: 'failed', endedBefore: 0, keep: 0 })
      const { runId, startedAt } = gone!
      const behind = rest.map((one) => one.runId)
      expect(await ids({ after: { runId, startedAt }, tag: 't' })).toEqual(behind)
      expect(await ids({ after: { runId, startedAt } })).toEqual(behind)
    }),
  )

  it(
    'lists a hundred runs by default',
    test(async ({ run, events }) => {
      for (let n = 0; n < 101; n++) await run(`r${n}`)
      expect(await events.runs.list()).toHaveLength(100)
      expect(await events.runs.list({ limit: 1000 })).toHaveLength(101)
    }),
  )

  it(
    'keeps the index independent of changes to its results',
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
    'deletes ended runs by number, oldest end first, for each outcome separately',
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
    'counts runs of internal queues separately from those of users',
    test(async ({ run, append, events, elapse }) => {
      const ends = async (id: string, queue?: string): Promise<void> => {
        await run(id, { queue, name: `"${id}","_odd"`, tags: [`","_${id}`] })
        await append(id, 'ends', { run: { status: 'completed' } })
      }
      for (const n of [1, 2, 3]) {
        await ends(`user-${n}`, 'q')
        await ends(`flow-${n}`)
        await ends(`own-${n}`, '_own')
      }
      const left = async (hideInternal = false): Promise<string[]> =>
        (await events.runs.list({ hideInternal })).map(({ runId }) => runId).toSorted()
      const users = ['flow-1', 'flow-2', 'flow-3', 'user-1', 'user-2', 'user-3']
      expect(await left(true)).toEqual(users)
      const bounds = { outcome: 'completed', endedBefore: 0 } as const
      expect(await events.expire({ ...bounds, keep: 6 })).toBe(0)
      await append('own-1', 'again', { reopen: true, run: { status: 'running' } })
      await elapse(3)
      await append('own-1', 'ends', { reopen: true, run: { status: 'completed' } })
      await append('own-1', 'more', { reopen: true, run: { status: 'completed' } })
      expect(await events.expire({ ...bounds, keep: 2 })).toBe(5)
      expect(await left()).toEqual(['flow-3', 'own-1', 'own-3', 'user-3'])
      expect((await events.runs.list({ status: 'completed', startedBefore: Infinity })).length).toBe(4)
      expect(await events.expire({ ...bounds, endedBefore: Infinity, keep: 100 })).toBe(4)
      expect(await left()).toEqual([])
      await ends('user-4', 'q')
      await append('user-4', 'again', { reopen: true, run: { status: 'running' } })
      expect(await events.expire({ ...bounds, endedBefore: Infinity, keep: 0 })).toBe(0)
    }),
  )

  it(
    'deletes no run by number that ended at or after a moment',
    test(async ({ run, events, elapse, now }) => {
      const ends = (id: string): Promise<void> => run(id, { status: 'completed' })
      await ends('old')
      await elapse(60)
      const keepSince = now() - 30
      const young = Array.from({ length: 20 }, (_, n) => `y${String(n).padStart(2, '0')}`)
      for (const id of young) await ends(id)
      const left = async (): Promise<string[]> => (await events.runs.list()).map(({ runId }) => runId).toSorted()
      const bounds = { outcome: 'completed', endedBefore: 0 } as const
      expect(await events.expire({ ...bounds, keep: 21, keepSince })).toBe(0)
      expect(await events.expire({ ...bounds, keep: 2, keepSince })).toBe(1)
      expect(await events.expire({ ...bounds, keep: 0, keepSince })).toBe(0)
      expect(await left()).toEqual(young)
      await elapse(60)
      const later = now() - 30
      expect(await events.expire({ ...bounds, keep: 15, keepSince: later })).toBe(5)
      expect(await left()).toHaveLength(15)
      expect(await events.expire({ ...bounds, endedBefore: later, keep: 100, keepSince })).toBe(15)
      expect(await left()).toEqual([])
    }),
  )

  it(
    'deletes ended runs by age',
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
    'deletes a run with its events, keys, fences and snapshots',
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
