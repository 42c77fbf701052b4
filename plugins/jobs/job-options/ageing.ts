import type { JobDraft } from '../../../kernel/index.ts'

/** 2026-01-01. Counting from this date keeps the numbers small. */
const ORIGIN = 1_767_225_600_000
/** The milliseconds in one unit of the stored priority. Twenty years are a million units. */
const UNIT = 1_000_000

/**
 * Returns the priority of a job that gains one unit every `ageing` milliseconds of waiting. All jobs age at the same rate, so only the time
 * of arrival matters: a more urgent job is treated as if it had arrived earlier. The unit does not depend on `ageing`, and the numbers are
 * small enough for every adapter to distinguish milliseconds.
 */
export function aged({ priority, createdAt, runAt }: JobDraft, ageing: number): number {
  return (priority * ageing - (Math.max(createdAt, runAt) - ORIGIN)) / UNIT
}
