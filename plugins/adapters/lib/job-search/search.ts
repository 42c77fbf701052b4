import type { JobState } from '../../../../kernel/index.ts'

/** How many jobs a page has by default. */
export const DEFAULT_LIMIT = 100

export function noCounts(): Record<JobState, number> {
  return { waiting: 0, delayed: 0, active: 0, completed: 0, failed: 0, cancelled: 0 }
}
