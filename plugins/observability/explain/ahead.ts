import type { JobRecord } from '../../../kernel/index.ts'

/**
 * Counts the waiting jobs that start before a job. Jobs with a fair key take turns: another key starts at most as many jobs as turns have
 * begun, in proportion to its weight.
 *
 * @param waiting jobs of the same queue, in the order of arrival
 */
export function countAhead(job: JobRecord, waiting: readonly JobRecord[]): { jobs: number; turn?: number } {
  const { id, priority, options } = job
  const { fairKey } = options
  const position = waiting.findIndex((other) => other.id === id)
  const before = (index: number): boolean => position < 0 || index < position
  let jobs = 0
  const ofKeys = new Map<string, { jobs: number; weight: number }>()
  for (const [index, other] of waiting.entries()) {
    const { fairKey: key, fairWeight: weight = 1 } = other.options
    const isEqual = other.priority === priority && other.id !== id
    if (other.priority > priority) jobs++
    else if (!isEqual) continue
    else if (fairKey === undefined) jobs += Number(key === undefined && before(index))
    else if (key === undefined) jobs++
    else if (key !== fairKey || before(index)) ofKeys.set(key, { jobs: (ofKeys.get(key)?.jobs ?? 0) + 1, weight })
  }
  if (fairKey === undefined) return { jobs }
  const own = ofKeys.get(fairKey)?.jobs ?? 0
  const turn = Math.floor(own / (options.fairWeight ?? 1)) + 1
  ofKeys.delete(fairKey)
  for (const other of ofKeys.values()) jobs += Math.min(other.jobs, Math.max(1, Math.ceil(turn * other.weight)))
  return { jobs: jobs + own, turn }
}
