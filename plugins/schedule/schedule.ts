import { createHash } from 'node:crypto'
import { Cron } from 'croner'
import { QueueError } from '../../kernel/index.ts'

export interface Schedule {
  /** Five fields, or six with seconds in front. */
  cron: string
  /** The id of the worker to enqueue. */
  worker: string
  /** An IANA name such as `Europe/Berlin`. Default: the system's. */
  timeZone?: string
  /** What each job receives. */
  data?: unknown
}

/** What a tick carries: the moment it stands for, in milliseconds since the epoch. */
export interface TickData {
  name: string
  at: number
}

export const SCHEDULE_QUEUE = '_schedule'
export const TICK_WORKER = '_schedule/tick'

/**
 * The first moment after `after`, in milliseconds since the epoch; `undefined` when there is none.
 *
 * @throws QueueError `SCHEDULE_INVALID`
 */
export function nextTick(name: string, { cron, timeZone }: Schedule, after: number): number | undefined {
  try {
    return new Cron(cron, { timezone: timeZone, paused: true }).nextRun(new Date(after))?.getTime()
  } catch (cause) {
    const zone = timeZone === undefined ? '' : ` in time zone "${timeZone}"`
    const said = cause instanceof Error ? cause.message : String(cause)
    const message = `Schedule "${name}" has an invalid cron expression "${cron}"${zone}: ${said}`
    throw new QueueError('SCHEDULE_INVALID', message, { cause })
  }
}

/** Names one tick of one form of a schedule: a changed schedule leaves its old ticks behind. */
export function scheduleId(name: string, { cron, timeZone = '' }: Schedule, at: number): string {
  const form = createHash('sha256').update(`${cron}\n${timeZone}`).digest('hex').slice(0, 8)
  return `${name}.${form}.${at}`
}
