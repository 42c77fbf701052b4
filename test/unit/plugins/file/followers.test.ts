import { readFileSync } from 'node:fs'
import type { StoredEvent } from 'nuxt-queue/kernel'
import { join } from 'pathe'
import { expect, it } from 'vitest'
import { newFolder, openFolder } from './rig.ts'

// After a crash, another event may have the number of an event that was not on disk. A page that has seen the lost one would skip it.
it('shows an event to followers and readers only when it is on disk', async () => {
  const dir = newFolder()
  await using test = await openFolder(dir, { fsync: 'batch' })
  const store = test.kernel.port('events')
  await store.append('run', [{ type: 'first' }])
  const journal = (): string => readFileSync(join(dir, 'events.jsonl'), 'utf8')
  const seen: { type: string; stored: boolean }[] = []
  const look = (events: readonly StoredEvent[]): void => {
    for (const { type } of events) seen.push({ type, stored: journal().includes(`"${type}"`) })
  }
  await store.subscribe('run', { after: 0 }, look)
  const appending = store.append('run', [{ type: 'second', key: 'k' }], { expectedSeq: 1 })
  await store.subscribe('run', { after: 0 }, look)
  await store.subscribe('*', {}, look)

  expect(await store.head('run')).toBe(1)
  expect(await store.byKey('run', 'k')).toBeUndefined()
  expect((await store.read('run')).map(({ type }) => type)).toEqual(['first'])
  expect((await store.read('run', { reverse: true, limit: 1 })).map(({ type }) => type)).toEqual(['first'])
  expect(seen.map(({ type }) => type)).toEqual(['first', 'first'])

  await appending
  expect(await store.head('run')).toBe(2)
  expect(await store.byKey('run', 'k')).toMatchObject({ seq: 2 })
  await Promise.resolve()
  expect(seen.slice(2)).toEqual(Array.from({ length: 3 }, () => ({ type: 'second', stored: true })))
})
