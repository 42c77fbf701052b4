import type { JobFilter, JobRecord, SearchedValue } from '../../../../kernel/index.ts'
import { isOwnQueue } from '../own-queue.ts'

export type JobMatcher = (job: Readonly<JobRecord>) => boolean

/** Returns a function that compares a job with each member of a filter. An adapter may apply it to jobs that it has preselected. */
export function createMatcher(filter: JobFilter): JobMatcher {
  const { id, queue, name, runId, tag, states, error, createdAfter, createdBefore, data } = filter
  const tests: JobMatcher[] = []
  if (queue === undefined) tests.push((job) => !isOwnQueue(job.queue))
  else tests.push((job) => job.queue === queue)
  if (id !== undefined) tests.push((job) => job.id === id)
  if (name !== undefined) tests.push((job) => job.name === name)
  if (runId !== undefined) tests.push((job) => job.runId === runId)
  if (states) tests.push((job) => states.includes(job.state))
  if (tag !== undefined) tests.push((job) => job.tags?.includes(tag) === true)
  if (createdAfter !== undefined) tests.push((job) => job.createdAt >= createdAfter)
  if (createdBefore !== undefined) tests.push((job) => job.createdAt < createdBefore)
  if (error !== undefined) tests.push(errorMatcher(error))
  if (data) for (const [path, value] of Object.entries(data)) tests.push(dataMatcher(path, value))
  return (job) => tests.every((test) => test(job))
}

/** Returns text with ASCII letters in lower case. Every store can do the same, whatever its locale. */
export function lowerAscii(text: string): string {
  return text.replaceAll(/[A-Z]+/g, (letters) => letters.toLowerCase())
}

function errorMatcher(text: string): JobMatcher {
  const wanted = lowerAscii(text)
  return ({ error }) =>
    error !== undefined && (lowerAscii(error.message).includes(wanted) || lowerAscii(error.name).includes(wanted))
}

function dataMatcher(path: string, wanted: SearchedValue): JobMatcher {
  const keys = path.split('.')
  const text = String(wanted)
  return ({ data }) => {
    let value = data
    for (const key of keys) {
      if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return false
      value = (value as Record<string, unknown>)[key]
    }
    return isScalar(value) && String(value) === text
  }
}

function isScalar(value: unknown): value is SearchedValue | bigint {
  return value === null || ['string', 'number', 'boolean', 'bigint'].includes(typeof value)
}
