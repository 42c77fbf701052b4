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

it('shows how a run has changed only when the change is on disk', async () => {
  await using test = await openFolder(newFolder(), { fsync: 'batch' })
  const store = test.kernel.port('events')
  const states = async (): Promise<unknown[]> => [
    (await store.runs.get('run'))?.status,
    (await store.runs.list({ status: 'running' })).length,
    (await store.runs.list({ status: 'completed' })).length,
  ]
  const run = { name: 'w', queue: 'w', jobId: 'run' }
  const begins = store.append('run', [{ type: 'step.started' }], { run: { ...run, status: 'running' } })
  expect(await states()).toEqual([undefined, 0, 0])
  await begins
  expect(await states()).toEqual(['running', 1, 0])
  const goesOn = store.append('run', [{ type: 'other' }])
  const ends = store.append('run', [{ type: 'step.completed' }], { run: { status: 'completed' } })
  expect(await states()).toEqual(['running', 1, 0])
  await Promise.all([goesOn, ends])
  expect(await states()).toEqual(['completed', 0, 1])
  expect((await store.runs.get('run'))!.head).toBe(await store.head('run'))
})
