/** What a check of the system has found. */
export interface Diagnosis {
  /** Names the check, such as `redis.eviction`. */
  check: string
  /** `warning`: something may become a problem. `problem`: jobs do not run, or may be lost. */
  level: 'ok' | 'warning' | 'problem'
  /** What was found. */
  message: string
  /** What to do about it. Absent if nothing is wrong. */
  hint?: string
}
