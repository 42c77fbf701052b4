import { expect, test } from 'vitest'
import type { StoredEvent } from '../../../kernel/index.ts'
import type { PostgresPort } from '../../../plugins/adapters/postgres/lib/postgres.ts'
import { createFeeds, type FeedSource } from '../../../plugins/adapters/postgres/events/feeds.ts'
import { collectReports } from '../../../testing/conformance/harness.ts'

const numbered = (...seqs: number[]): StoredEvent[] => seqs.map((seq) => ({ seq }) as StoredEvent)

/** A table whose reads end when the test says so. */
function openSource() {
  const reads: { after: number; end(events: StoredEvent[]): void }[] = []
  const source: FeedSource = {
    read: (_stream, after) => new Promise((end) => void reads.push({ after, end })),
    heads: async () => new Map([['r', 1]]),
    start: (cursor) => Promise.resolve(String(cursor)),
    readAll: async (cursor) => ({ events: [], cursor }),
    end: async () => '',
  }
  const { reporter } = collectReports()
  const db = { reporter, caughtUp: async () => {}, pollInterval: 60_000 } as Partial<PostgresPort> as PostgresPort
  return { reads, feeds: createFeeds(db, source) }
}

const settled = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve))

test('a read that began before a subscriber joined delivers no event to it out of order', async () => {
  const { reads, feeds } = openSource()
  await feeds.follow('r', {}, () => {})
  await settled()
  expect(reads.map(({ after }) => after)).toEqual([1])

  const heard: number[] = []
  const comes = feeds.follow('r', { after: 0 }, (events) => void heard.push(...events.map(({ seq }) => seq)))
  await settled()
  expect(reads.map(({ after }) => after)).toEqual([1, 0])
  // The events that exist when a subscriber joins, and right after them the end of the read that was under way.
  reads[1]!.end(numbered(1))
  reads[0]!.end(numbered(2))
  await comes
  await settled()
  reads[2]!.end(numbered(2))
  await settled()
  expect(heard).toEqual([1, 2])
  feeds.close()
})
