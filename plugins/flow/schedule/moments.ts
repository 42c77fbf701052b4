import { createHash } from 'node:crypto'
import { QueueError } from '../../../kernel/index.ts'
import { cronMoments, type CronMoments } from '../lib/cron.ts'
import type { Timing } from './schedule.ts'

/** @throws QueueError `SCHEDULE_INVALID` for a cron expression or time zone that makes no sense */
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

/** How long after its moment a tick is due, in milliseconds: the same wherever it is computed. */
export function jitterOf(name: string, at: number, jitter: number): number {
  if (jitter === 0) return 0
  const drawn = createHash('sha256').update(`${name}\n${at}`).digest().readUInt32BE()
  return Math.floor((drawn / 2 ** 32) * jitter)
}

/** Names what a schedule's moments follow from: ticks of another form are not its own. */
export function formOf({ cron, timeZone, every, anchor, at }: Timing): string {
  const facts = [cron, timeZone, every, anchor && millis(anchor), at && millis(at)]
  return createHash('sha256').update(JSON.stringify(facts)).digest('hex').slice(0, 8)
}

function millis(moment: Date | string | number): number {
  return new Date(moment).getTime()
}
