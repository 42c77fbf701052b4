/** The result of one check of the system. */
export interface Diagnosis {
  /** Names the check, such as `redis.eviction`. */
  check: string
  /** `warning`: something may become a problem. `problem`: jobs do not run, or may be lost. */
  level: 'ok' | 'warning' | 'problem'
  /** Describes the finding. */
  message: string
  /** How to fix the problem. Absent if there is none. */
  hint?: string
}
