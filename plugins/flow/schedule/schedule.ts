import { z } from 'zod'
import { QueueError } from '../../../kernel/index.ts'

/** When a schedule ticks: one of `cron`, `every` and `at`. */
export interface Timing {
  /** Five fields, or six with seconds in front. */
  cron?: string
  /** An IANA name such as `Europe/Berlin`, for `cron`. Default: the system's. */
  timeZone?: string
  /** Milliseconds between two moments, counted from `anchor`. */
  every?: number
  /** A moment that `every` counts from: a date, ISO text, or milliseconds since the epoch. Default: the epoch. */
  anchor?: Date | string | number
  /** One moment: a date, ISO text, or milliseconds since the epoch. One that has passed is none. */
  at?: Date | string | number
  /** Spreads jobs over this many milliseconds after their moments; each moment has the same place everywhere. Default 0. */
  jitter?: number
  /**
   * What happens after downtime. `last`: one job for all moments that were missed, named after the
   * last of them. `all`: one for each, in order, up to 100, then as `last`. `false`: none for what
   * comes more than a minute late. Default `last`.
   */
  catchUp?: 'last' | 'all' | false
}

/** When to start something, and with what. */
export interface ScheduleOption extends Timing {
  /** What each job receives, or a function that makes it from the moment: `(moment: Date) => data`. */
  data?: unknown
  /**
   * What happens while the job or flow run of an earlier moment has not ended: `queue` starts another
   * one all the same, `skip` starts none, `replace` cancels the earlier one first. Default `queue`.
   */
  overlap?: 'queue' | 'skip' | 'replace'
}

/** A schedule of one of `worker` and `flow`. */
export interface Schedule extends ScheduleOption {
  /** The id of the worker to enqueue. */
  worker?: string
  /** The name of the flow to start. */
  flow?: string
  /** The entry to start with, for a flow that has several. */
  entry?: string
}

export interface ScheduleInfo extends Schedule {
  name: string
  /** When it ticks next, in milliseconds since the epoch; absent when it never does again. */
  next?: number
}

const moment = z.union([z.date(), z.number(), z.iso.datetime({ offset: true })])

const timing = {
  cron: z.string().optional(),
  timeZone: z.string().optional(),
  every: z.number().int().min(1).optional(),
  anchor: moment.optional(),
  at: moment.optional(),
  jitter: z.number().int().min(0).optional(),
  catchUp: z.literal(['last', 'all', false]).optional(),
  data: z.unknown().optional(),
  overlap: z.enum(['queue', 'skip', 'replace']).optional(),
}
const target = {
  worker: z.string().min(1).optional(),
  flow: z.string().min(1).optional(),
  entry: z.string().min(1).optional(),
}

/** A schedule of a worker, which is its own target. */
export const ownShape = z.strictObject(timing)

/** Checks what comes from a configuration or from a caller. */
export const scheduleShape = z
  .strictObject({ ...timing, ...target })
  .refine(({ cron, every, at }) => given(cron, every, at) === 1, 'It takes one of cron, every and at.')
  .refine(({ worker, flow }) => given(worker, flow) === 1, 'It takes one of worker and flow.')
  .refine(({ cron, timeZone }) => timeZone === undefined || cron !== undefined, 'timeZone is for cron.')
  .refine(({ every, anchor }) => anchor === undefined || every !== undefined, 'anchor is for every.')

/** @throws QueueError `SCHEDULE_INVALID` */
export function checkSchedule(name: string, schedule: Schedule): void {
  const { error } = scheduleShape.safeParse(schedule)
  if (!error) return
  const message = `Schedule "${name}" is not one:\n${z.prettifyError(error)}`
  throw new QueueError('SCHEDULE_INVALID', message)
}

function given(...values: unknown[]): number {
  return values.filter((value) => value !== undefined).length
}
