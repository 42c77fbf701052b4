/** The queue of the ticks of schedules, and their worker. */
export const SCHEDULE_QUEUE = '_schedule'
export const TICK_WORKER = '_schedule/tick'

/** Data of the job of a tick. Moments are in milliseconds since the epoch. */
export interface TickData {
  name: string
  /** The moment of the schedule. */
  at: number
  /** The moment plus its jitter. */
  due: number
  /** How many moments in a row were missed before this one. */
  missed: number
  /** Starts the target manually under this id, independent of the schedule, and does not schedule another tick. */
  start?: string
}
