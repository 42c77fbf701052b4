import { z } from 'zod'
import { EXPECTED, isHeaders, QueueError } from '../../../kernel/index.ts'

/** When a schedule ticks: one of `cron`, `every` and `at`. */
export interface Timing {
  /** Five fields, or six with seconds first. */
  cron?: string
  /** An IANA name such as `Europe/Berlin`, for `cron`. Default: the time zone of the system. */
  timeZone?: string
  /** Milliseconds between two moments, counted from `anchor`. */
  every?: number
  /** The moment that `every` counts from: a date, ISO text, or milliseconds since the epoch. Default: the epoch. */
  anchor?: Date | string | number
  /** One moment: a date, ISO text, or milliseconds since the epoch. A moment in the past starts nothing. */
  at?: Date | string | number
  /** Spreads jobs over this many milliseconds after their moments. All instances compute the same delay. Default 0. */
  jitter?: number
  /**
   * What happens after downtime. `last`: one job for all missed moments, with the id of the latest moment. `all`: one job for each missed
   * moment, in order, up to 100; after that, like `last`. `false`: no job for a moment that is more than a minute late. Default `last`.
   */
  catchUp?: 'last' | 'all' | false
}

/** A schedule in a worker's config: when to start it, and with which data. */
export interface ScheduleOption extends Timing {
  /** The data of each job, or a function that returns it for a moment: `(moment: Date) => data`. */
  data?: unknown
  /** Text that travels with each job, by name, like the `headers` of `enqueue`. */
  headers?: Readonly<Record<string, string>>
  /**
   * What happens while the job or run of an earlier moment is open. `queue` starts another one, `skip` starts nothing, `replace` cancels
   * the earlier one first. Default `queue`.
   */
  overlap?: 'queue' | 'skip' | 'replace'
}

/** A schedule with its target: either `worker` or `flow`. */
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
  /** The next tick, in milliseconds since the epoch. Absent when there is none. */
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
  headers: z.custom<Readonly<Record<string, string>>>(isHeaders, EXPECTED.headers).optional(),
  overlap: z.enum(['queue', 'skip', 'replace']).optional(),
}
const target = {
  worker: z.string().min(1).optional(),
  flow: z.string().min(1).optional(),
  entry: z.string().min(1).optional(),
}

/** The shape of a schedule in a worker's config. The worker is its target. */
export const ownShape = z.strictObject(timing)

/** The shape of a schedule in the configuration, or from a caller. */
export const scheduleShape = z
  .strictObject({ ...timing, ...target })
  .refine(({ cron, every, at }) => given(cron, every, at) === 1, 'Set exactly one of cron, every and at.')
  .refine(({ worker, flow }) => given(worker, flow) === 1, 'Set exactly one of worker and flow.')
  .refine(({ cron, timeZone }) => timeZone === undefined || cron !== undefined, 'timeZone needs cron.')
  .refine(({ every, anchor }) => anchor === undefined || every !== undefined, 'anchor needs every.')

/** @throws QueueError `SCHEDULE_INVALID` */
export function checkSchedule(name: string, schedule: Schedule): void {
  const { error } = scheduleShape.safeParse(schedule)
  if (!error) return
  const message = `Schedule "${name}" is invalid:\n${z.prettifyError(error)}`
  throw new QueueError('SCHEDULE_INVALID', message)
}

function given(...values: unknown[]): number {
  return values.filter((value) => value !== undefined).length
}
