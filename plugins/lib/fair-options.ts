/** The smallest and the largest number of jobs that a key starts in each turn. */
export const MIN_WEIGHT = 0.01
export const MAX_WEIGHT = 100
/** The largest absolute priority of a job with a `fairKey`. Redis stores the priority and the turn in one number. */
export const MAX_FAIR_PRIORITY = 1000

/** Whether a job of this priority may have a `fairKey`. Turns are taken among the jobs of one priority, so fractions would defeat them. */
export function isFairPriority(priority: number): boolean {
  return Number.isInteger(priority) && Math.abs(priority) <= MAX_FAIR_PRIORITY
}

export function isWeight(value: unknown): value is number {
  return typeof value === 'number' && value >= MIN_WEIGHT && value <= MAX_WEIGHT
}
