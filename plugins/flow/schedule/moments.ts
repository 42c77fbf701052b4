import { createHash } from 'node:crypto'
import { QueueError } from '../../../kernel/index.ts'
import { cronMoments, type CronMoments } from '../lib/cron.ts'
import type { Timing } from './schedule.ts'

/** Returns the moments of a schedule. @throws QueueError `SCHEDULE_INVALID` for an invalid cron expression or time zone */
export function momentsOf(name: string, { cron, timeZone, every, anchor = 0, at }: Timing): CronMoments {
  if (cron !== undefined) return namedCron(name, cron, timeZone)
  if (every !== undefined) {
    const start = millis(anchor)
    const last = (until: number): number => start + Math.floor((until - start) / every) * every
    return { next: (after) => last(after) + every, last }
  }
  const moment = millis(at!)
  return {
    next: (after) => (moment > after ? moment : undefined),
    last: (until) => (moment <= until ? moment : undefined),
  }
}

function namedCron(name: string, cron: string, timeZone: string | undefined): CronMoments {
  try {
    return cronMoments(cron, timeZone)
  } catch (cause) {
    const zone = timeZone === undefined ? '' : ` in time zone "${timeZone}"`
    const said = cause instanceof Error ? cause.message : String(cause)
    const message = `Schedule "${name}" has an invalid cron expression "${cron}"${zone}: ${said}`
    throw new QueueError('SCHEDULE_INVALID', message, { cause })
  }
}

/** Returns the milliseconds between a moment and its tick. Every instance computes the same value. */
export function jitterOf(name: string, at: number, jitter: number): number {
  if (jitter === 0) return 0
  const drawn = createHash('sha256').update(`${name}\n${at}`).digest().readUInt32BE()
  return Math.floor((drawn / 2 ** 32) * jitter)
}

/** Returns a hash of the timing of a schedule. It distinguishes the ticks of different versions of a schedule. */
export function formOf({ cron, timeZone, every, anchor, at }: Timing): string {
  const facts = [cron, timeZone, every, anchor && millis(anchor), at && millis(at)]
  return createHash('sha256').update(JSON.stringify(facts)).digest('hex').slice(0, 8)
}

function millis(moment: Date | string | number): number {
  return new Date(moment).getTime()
}
