import { expect, it } from 'vitest'
import { createEntry, type JobEntry } from '../../../plugins/adapters/lib/local-queue/entry.ts'
import { DelayedJobs } from '../../../plugins/adapters/lib/local-queue/waiting.ts'

const delayed = (id: number): JobEntry =>
  createEntry({ id: String(id), runAt: 1e12 + ((id * 7919) % 100_003) } as never)

it('keeps no entries of delayed jobs that were promoted, cancelled or removed, and keeps the order of the others', () => {
  const jobs = new DelayedJobs()
  const kept: JobEntry[] = []
  for (let id = 0; id < 10_000; id++) {
    const entry = delayed(id)
    jobs.add(entry)
    if (id % 100 === 0) kept.push(entry)
    else jobs.remove(entry)
  }
  expect(jobs.size).toBe(100)
  expect(jobs.nodes).toBeLessThan(300)
  const due: JobEntry[] = []
  for (let entry = jobs.takeDue(Infinity); entry; entry = jobs.takeDue(Infinity)) due.push(entry)
  expect(due).toEqual(kept.toSorted((a, b) => a.record.runAt - b.record.runAt))
  expect([jobs.size, jobs.nodes]).toEqual([0, 0])
})
