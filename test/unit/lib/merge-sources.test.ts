import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { JobRecord } from '../../../kernel/index.ts'
import { mergeSources } from '../../../plugins/adapters/lib/job-search/merge.ts'
import type { ReadCandidates } from '../../../plugins/adapters/lib/job-search/search.ts'

interface Entry {
  createdAt: number
  hit: boolean
}

/** An index of one queue, newest first, which counts the entries that it was asked for. */
function indexOf(queue: string, entries: readonly Entry[]) {
  const sorted = entries
    .toSorted((a, b) => b.createdAt - a.createdAt)
    .map((entry, index) => ({ ...entry, queue, id: String(index).padStart(6, '0') }))
  const read = { entries: 0 }
  const source: ReadCandidates = (after, wanted, atMost) => {
    const start = after ? sorted.findIndex((entry) => precedes(after, entry)) : 0
    const page: typeof sorted = []
    let hits = 0
    for (const entry of start < 0 ? [] : sorted.slice(start)) {
      if (hits === wanted || page.length === atMost) break
      page.push(entry)
      if (entry.hit) hits++
    }
    read.entries += page.length
    const last = page.at(-1)
    const more = last !== undefined && sorted.indexOf(last) < sorted.length - 1
    const jobs = page.filter(({ hit }) => hit) as unknown as JobRecord[]
    return { jobs, examined: page.length, ...(more && { last }) }
  }
  return { source, read, hits: sorted.filter(({ hit }) => hit) }
}

type Place = { createdAt: number; queue: string; id: string }

function precedes(a: Place, b: Place): boolean {
  if (a.createdAt !== b.createdAt) return a.createdAt > b.createdAt
  return a.queue === b.queue ? a.id < b.id : a.queue < b.queue
}

it('merges any indexes in order, page by page, without duplicates or gaps', async () => {
  const entry = fc.record({ createdAt: fc.integer({ min: 0, max: 50 }), hit: fc.boolean() })
  const indexes = fc.array(fc.array(entry, { maxLength: 30 }), { maxLength: 5 })
  const bounds = fc.record({ wanted: fc.integer({ min: 1, max: 10 }), atMost: fc.integer({ min: 1, max: 20 }) })
  await fc.assert(
    fc.asyncProperty(indexes, bounds, async (lists, { wanted, atMost }) => {
      const all = lists.map((list, index) => indexOf(`q${index}`, list))
      const read = mergeSources(
        all.map(({ source }) => source),
        precedes,
      )
      const found: Place[] = []
      for (let after: Place | undefined; ;) {
        const page = await read(after, wanted, atMost)
        found.push(...page.jobs)
        after = page.last
        if (!after) break
      }
      const expected = all.flatMap(({ hits }) => hits).toSorted((a, b) => (precedes(a, b) ? -1 : 1))
      expect(found.map(({ queue, id }) => `${queue} ${id}`)).toEqual(expected.map(({ queue, id }) => `${queue} ${id}`))
    }),
  )
})

it('reads an index without a match only as far as the page reaches', async () => {
  const long = Array.from({ length: 50_000 }, (_, createdAt) => ({ createdAt, hit: false }))
  const [without, withSome] = [
    indexOf('a', long),
    indexOf(
      'b',
      long.map((entry) => ({ ...entry, hit: true })),
    ),
  ]
  const { jobs } = await mergeSources([without.source, withSome.source], precedes)(undefined, 50, 100_000)
  expect(jobs).toHaveLength(50)
  expect(without.read.entries).toBeLessThanOrEqual(500)
})
