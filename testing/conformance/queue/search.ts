import { expect, it } from 'vitest'
import type { JobFilter, JobSearch, JobState, QueueCapability, QueueProvider } from '../../../kernel/index.ts'
import { codeOf } from '../harness.ts'
import { completed, failed, type QueueRig, type QueueTest } from './rig.ts'

const NONE: Record<JobState, number> = { waiting: 0, delayed: 0, active: 0, completed: 0, failed: 0, cancelled: 0 }

type Searchable = Required<Pick<QueueProvider, 'findJobs' | 'countJobs'>>

const searchable = ({ queue }: QueueRig): Searchable => queue as QueueProvider & Searchable

async function ids(rig: QueueRig, search: JobSearch): Promise<string[]> {
  return (await searchable(rig).findJobs(search)).jobs.map(({ id }) => id)
}

/** Returns the counts that are not zero. */
async function total(rig: QueueRig, filter: JobFilter): Promise<Partial<Record<JobState, number>>> {
  const { counts, truncated } = await searchable(rig).countJobs(filter)
  expect(truncated).toBe(false)
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0))
}

/** Tests how jobs are found and counted by an adapter with the capability `search`. */
export function searchTests(test: QueueTest, capabilities: Readonly<Record<QueueCapability, boolean>>): void {
  findTests[capabilities.search ? 'declared' : 'undeclared'](test)
  if (capabilities.search && capabilities.delay) delayTests(test)
  dataTests[capabilities.searchData ? 'declared' : 'undeclared'](test)
}

function delayTests(test: QueueTest): void {
  it(
    'finds and counts delayed jobs by their state',
    test(async (rig) => {
      const runAt = rig.now() + 60_000
      await rig.add({ id: 'now' })
      await rig.add({ id: 'later', runAt })
      expect(await ids(rig, { states: ['delayed'] })).toEqual(['later'])
      expect(await ids(rig, { states: ['waiting'] })).toEqual(['now'])
      expect(await total(rig, {})).toEqual({ waiting: 1, delayed: 1 })
      expect(await total(rig, { states: ['delayed'] })).toEqual({ delayed: 1 })
    }),
  )
}

const findTests = {
  undeclared(test: QueueTest): void {
    it(
      'has no "findJobs" without the capability "search"',
      test(async ({ queue }) => expect(queue.findJobs).toBeUndefined()),
    )
  },
  declared(test: QueueTest): void {
    it(
      'finds jobs by each field of a filter, newest first, and counts them',
      test(async (rig) => {
        const { add, now, work, reach, get } = rig
        const base = now() - 10_000
        const at = (ms: number): { createdAt: number; runAt: number } => ({ createdAt: base + ms, runAt: base + ms })
        await add({
          id: 'a',
          queue: 'one',
          tags: ['x'],
          data: { customer: { id: 7 }, parts: [{ sku: 'A1' }] },
          ...at(0),
        })
        await add({
          id: 'b',
          queue: 'two',
          name: 'other',
          tags: ['x', 'ü', 'customer:7 ä'],
          data: { 'a"b': 'ö' },
          ...at(1),
        })
        await add({ id: 'c', queue: 'one', name: 'other', data: { customer: { id: '7' } }, ...at(2) })
        await add({
          id: 'd',
          queue: 'two',
          runId: 'shared',
          data: { customer: { id: 70 }, paid: true, no: null },
          ...at(3),
        })
        await add({ id: 'e', queue: 'three', runId: 'shared', tags: ['later'], ...at(4) })
        await add({ id: 'own', queue: '_own', tags: ['x'], ...at(5) })
        expect((await get('b', 'two')).tags).toEqual(['x', 'ü', 'customer:7 ä'])
        expect((await get('c', 'one')).tags).toBeUndefined()

        const expected: [JobFilter, string[]][] = [
          [{}, ['e', 'd', 'c', 'b', 'a']],
          [{ queue: 'two' }, ['d', 'b']],
          [{ queue: '_own' }, ['own']],
          [{ queue: 'none' }, []],
          [{ id: 'c' }, ['c']],
          [{ id: 'c', queue: 'two' }, []],
          [{ id: 'none' }, []],
          [{ name: 'other' }, ['c', 'b']],
          [{ name: 'other', queue: 'one' }, ['c']],
          [{ name: 'none' }, []],
          [{ runId: 'shared' }, ['e', 'd']],
          [{ runId: 'run-c' }, ['c']],
          [{ runId: 'none' }, []],
          [{ tag: 'x' }, ['b', 'a']],
          [{ tag: 'x', queue: 'one' }, ['a']],
          [{ tag: 'x', name: 'other' }, ['b']],
          [{ tag: 'ü' }, ['b']],
          [{ tag: 'customer:7 ä' }, ['b']],
          [{ tag: 'customer:7' }, []],
          [{ tag: 'x', queue: '_own' }, ['own']],
          [{ createdAfter: base + 1, createdBefore: base + 3 }, ['c', 'b']],
          [{ createdAfter: base + 2, queue: 'one' }, ['c']],
          [{ createdBefore: base, tag: 'x' }, []],
          [{ createdBefore: base + 1, tag: 'x' }, ['a']],
          [{ states: ['delayed'] }, []],
          [{ states: ['waiting'], tag: 'x' }, ['b', 'a']],
          [{ states: [] }, []],
          [{ error: 'refused' }, []],
        ]
        for (const [filter, found] of expected) expect([filter, await ids(rig, filter)]).toEqual([filter, found])
        expect(await total(rig, {})).toEqual({ waiting: 5 })
        expect(await total(rig, { queue: 'one' })).toEqual({ waiting: 2 })
        expect(await total(rig, { tag: 'x' })).toEqual({ waiting: 2 })
        expect(await total(rig, { name: 'other', createdAfter: base + 2 })).toEqual({ waiting: 1 })
        expect(await total(rig, { runId: 'shared', states: ['waiting'] })).toEqual({ waiting: 2 })
        expect(await total(rig, { queue: 'none' })).toEqual({})

        const refused = failed('Connection REFUSED by "db"\n(port 5432)')
        await work(({ job }) => (job.id === 'a' ? refused : completed()), { queue: 'one' })
        await work(({ job }) => (job.id === 'b' ? refused : completed()), { queue: 'two' })
        await reach('a', 'failed', 'one')
        await reach('b', 'failed', 'two')
        await reach('c', 'completed', 'one')
        await reach('d', 'completed', 'two')
        const settled: [JobFilter, string[]][] = [
          [{ states: ['failed'] }, ['b', 'a']],
          [{ states: ['failed'], queue: 'two' }, ['b']],
          [{ states: ['failed', 'completed'], name: 'other' }, ['c', 'b']],
          [{ states: ['waiting', 'active', 'cancelled'] }, ['e']],
          [{ states: ['completed'], tag: 'x' }, []],
          [{ error: 'connection refused' }, ['b', 'a']],
          [{ error: 'by "db"\n(port' }, ['b', 'a']],
          [{ error: 'eRROR', queue: 'one' }, ['a']],
          [{ error: 'refused by db' }, []],
          [{ error: 'refused', states: ['completed'] }, []],
        ]
        for (const [filter, found] of settled) expect([filter, await ids(rig, filter)]).toEqual([filter, found])
        expect(await total(rig, {})).toEqual({ completed: 2, waiting: 1, failed: 2 })
        expect(await total(rig, { name: 'other' })).toEqual({ completed: 1, failed: 1 })
        expect(await total(rig, { error: 'refused', queue: 'one' })).toEqual({ failed: 1 })
      }),
    )

    it(
      'continues a search that stopped because of `examine`',
      test(async (rig) => {
        const { draft, now, queue } = rig
        const base = now() - 10_000
        const drafts = Array.from({ length: 30 }, (_, n) => {
          const createdAt = base + n
          return draft({ id: `part${n}`, queue: 'one', createdAt, runAt: createdAt, data: { even: n % 10 === 0 } })
        })
        await queue.enqueueMany(drafts)
        const found: string[] = []
        let next: string | undefined
        do {
          const page = await searchable(rig).findJobs({ data: { even: true }, examine: 7, after: next })
          found.push(...page.jobs.map(({ id }) => id))
          next = page.next
        } while (next !== undefined)
        expect(found).toEqual(['part20', 'part10', 'part0'])
      }),
    )

    it(
      'pages through all jobs once, while jobs are added, settled, cancelled and removed',
      test(async (rig) => {
        const { queue, add, draft, now, work, reach } = rig
        const base = now() - 10_000
        const queues = ['one', 'two']
        const drafts = Array.from({ length: 24 }, (_, n) => {
          // Four jobs of two queues share each millisecond.
          const createdAt = base + (n >> 2)
          return draft({ id: `j${n}`, queue: queues[n % 2]!, createdAt, runAt: createdAt, tags: ['all'] })
        })
        await queue.enqueueMany(drafts)
        const { findJobs } = searchable(rig)
        const all = (await findJobs({ limit: 1000 })).jobs.map(({ id }) => id)
        expect(all.toSorted()).toEqual(drafts.map(({ id }) => id).toSorted())
        const place = (id: string): string => queues[Number(id.slice(1)) % 2]!
        const last = all.at(-1)!
        const gone = all.at(-2)!
        for (const filter of [{ tag: 'all' }, {}] as JobFilter[]) {
          const seen: string[] = []
          let pages = 0
          let next: string | undefined
          do {
            const page = await findJobs({ ...filter, limit: 5, after: next })
            expect(page).toMatchObject({ truncated: false })
            seen.push(...page.jobs.map(({ id }) => id))
            next = page.next
            pages++
            await add({ id: `new${pages}`, queue: 'one', tags: ['all'] })
            if (pages === 2) {
              await queue.remove(place(gone), gone)
              await queue.cancel(place(last), last)
              // The page continues after a job that no longer exists.
              await queue.remove(place(seen.at(-1)!), seen.at(-1)!)
            }
          } while (next !== undefined)
          const wanted = all.filter((id) => id !== gone)
          expect(seen).toEqual(wanted)
          expect(pages).toBe(5)
          const after = draft({ id: gone, queue: place(gone), tags: ['all'], createdAt: base, runAt: base })
          await queue.enqueue(after)
          const removed = seen[9]!
          const createdAt = base + (Number(removed.slice(1)) >> 2)
          await queue.enqueue(draft({ id: removed, queue: place(removed), tags: ['all'], createdAt, runAt: createdAt }))
          for (let n = 1; n <= pages; n++) await queue.remove('one', `new${n}`)
          all.splice(0, all.length, ...(await findJobs({ limit: 1000 })).jobs.map(({ id }) => id))
        }
        await work(() => completed(), { queue: 'one', concurrency: 5 })
        const first = await findJobs({ tag: 'all', limit: 10 })
        for (const id of all) if (place(id) === 'one' && id !== last) await reach(id, 'completed', 'one')
        const rest = await findJobs({ tag: 'all', limit: 100, after: first.next })
        expect([...first.jobs, ...rest.jobs].map(({ id }) => id)).toEqual(all)
        expect(rest.next).toBeUndefined()
        expect(await codeOf(() => findJobs({ after: 'none' }))).toBe('OPTION_INVALID')
        expect(await codeOf(() => findJobs({ after: 'W10' }))).toBe('OPTION_INVALID')
      }),
    )

    it(
      'finds a retried job by its tags, and no removed job',
      test(async (rig) => {
        const { queue, add, work, reach, get } = rig
        const claims = await work(({ job }) => (job.round === 0 ? failed() : completed()))
        await add({ id: 'a', tags: ['x', 'y'] })
        await reach('a', 'failed')
        expect(await ids(rig, { tag: 'y', states: ['failed'] })).toEqual(['a'])
        await queue.retry('q', 'a')
        await reach('a', 'completed')
        expect(claims.map(({ job }) => job.tags)).toEqual([
          ['x', 'y'],
          ['x', 'y'],
        ])
        expect(await ids(rig, { tag: 'y', states: ['completed'] })).toEqual(['a'])
        expect(await add({ id: 'a', tags: ['z'] })).toMatchObject({ deduplicated: true })
        expect(await ids(rig, { tag: 'z' })).toEqual([])
        await queue.remove('q', 'a')
        for (const filter of [{}, { tag: 'x' }, { name: 'work' }, { runId: 'run-a' }])
          expect(await ids(rig, filter)).toEqual([])
        await add({ id: 'a', tags: ['z'] })
        await reach('a', 'failed')
        expect((await get('a')).tags).toEqual(['z'])
        expect([await ids(rig, { tag: 'x' }), await ids(rig, { tag: 'z' })]).toEqual([[], ['a']])
        expect(await queue.clean({ outcome: 'failed', endedBefore: Infinity, keep: 0, rememberFor: 60_000 })).toBe(1)
        expect([await ids(rig, {}), await ids(rig, { tag: 'z' })]).toEqual([[], []])
        expect((await searchable(rig).countJobs({ tag: 'z' })).counts).toEqual(NONE)
      }),
    )
  },
}

const dataTests = {
  undeclared(): void {},
  declared(test: QueueTest): void {
    it(
      'finds jobs by values in their data',
      test(async (rig) => {
        const { add, now } = rig
        const base = now() - 1000
        const datas: unknown[] = [
          { customer: { id: 7 }, parts: [{ sku: 'A1' }] },
          { customer: { id: '7' }, 'a"b': 'ö\n"' },
          { customer: { id: 70 }, paid: true, no: null, price: 1.5 },
          { customer: { id: { $date: 7 } }, big: 12n, lone: '\ud800' },
          { customer: 'id', '\0': 'nul' },
          'text',
          undefined,
        ]
        for (const [n, data] of datas.entries()) await add({ id: `${n}`, data, createdAt: base + n, runAt: base + n })
        const expected: [JobFilter['data'], string[]][] = [
          [{ 'customer.id': 7 }, ['1', '0']],
          [{ 'customer.id': '7' }, ['1', '0']],
          [{ 'customer.id': 70 }, ['2']],
          [{ 'customer.id': 700 }, []],
          [{ 'parts.0.sku': 'A1' }, ['0']],
          [{ 'parts.1.sku': 'A1' }, []],
          [{ 'a"b': 'ö\n"' }, ['1']],
          [{ paid: true, no: null }, ['2']],
          [{ paid: 'true', price: 1.5 }, ['2']],
          [{ paid: false }, []],
          [{ customer: 'id' }, ['4']],
          [{ big: '12' }, ['3']],
          [{ '\u{1f600}': 'x' }, []],
          [{ constructor: 'x', toString: 'y' }, []],
        ]
        for (const [data, found] of expected) expect([data, await ids(rig, { data })]).toEqual([data, found])
        expect(await ids(rig, { data: { 'customer.id': 7 }, limit: 1 })).toEqual(['1'])
        expect(await total(rig, { data: { 'customer.id': 7 }, queue: 'q' })).toEqual({ waiting: 2 })
      }),
    )
  },
}
