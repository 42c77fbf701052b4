import { z } from 'zod'
import { isText, QueueError, type Kernel } from '../../../../kernel/index.ts'
import * as answers from './answers.ts'
import { schedule as scheduleAnswer } from './operator-answers.ts'
import { route, type RouteCall, type Route } from './route.ts'
import { bodyMoment, count, headers, ms, name } from './values.ts'

/** The longest cron expression, in bytes. Even long lists of minutes are shorter. */
const MAX_CRON = 200

const timing = {
  /** Five fields, or six with seconds first. */
  cron: name
    .refine((text) => isText(text, MAX_CRON), `Expected a cron expression of at most ${MAX_CRON} bytes`)
    .optional(),
  timeZone: name.optional(),
  /** Milliseconds. */
  every: ms.min(1).optional(),
  anchor: bodyMoment.optional(),
  /** Milliseconds since the epoch, or an ISO date. */
  at: bodyMoment.optional(),
  jitter: ms.optional(),
  catchUp: z.union([z.enum(['last', 'all']), z.literal(false)]).optional(),
  overlap: z.enum(['queue', 'skip', 'replace']).optional(),
}

const scheduleBody = z.strictObject({
  ...timing,
  /** The worker to enqueue, or else the flow to start. */
  worker: name.optional(),
  flow: name.optional(),
  entry: name.optional(),
  data: z.unknown().optional(),
  /** Text that travels with each job. */
  headers: headers.optional(),
})

type Details = Awaited<ReturnType<Kernel['scheduleDetails']>>[number]

/** Removes values that JSON cannot represent, and runs that the request may not read. */
async function shown(
  { data, recent, ...details }: Details,
  { mayRead }: Pick<RouteCall<string, undefined, undefined>, 'mayRead'>,
) {
  const seen = []
  for (const one of recent) if (await mayRead({ type: 'runs.read', runId: one.runId })) seen.push(one)
  return { ...details, ...(typeof data !== 'function' && data !== undefined && { data }), recent: seen }
}

type ScheduleCall = Pick<RouteCall<'schedules/:schedule', undefined, undefined>, 'kernel' | 'params' | 'mayRead'>

async function find(call: ScheduleCall) {
  const { schedule } = call.params
  const details = (await call.kernel.scheduleDetails()).find((one) => one.name === schedule)
  if (details) return shown(details, call)
  throw new QueueError('SCHEDULE_UNKNOWN', `There is no schedule "${schedule}" here. List them with GET schedules.`)
}

function switchRoute(verb: 'pause' | 'resume', summary: string): Route {
  return route({
    id: `${verb}Schedule`,
    method: 'POST',
    path: `schedules/:schedule/${verb}`,
    action: `schedules.${verb}`,
    destructive: false,
    idempotent: true,
    summary,
    answer: scheduleAnswer,
    async handle(call) {
      await call.kernel[`${verb}Schedule`](call.params.schedule)
      return find(call)
    },
  })
}

export const scheduleRoutes: readonly Route[] = [
  route({
    id: 'listSchedules',
    method: 'GET',
    path: 'schedules',
    action: 'schedules.read',
    summary: 'List the schedules of this process and of all processes, with their next moments and last outcomes',
    answer: z.object({ schedules: z.array(scheduleAnswer) }),
    handle: async (call) => ({
      schedules: await Promise.all((await call.kernel.scheduleDetails()).map((one) => shown(one, call))),
    }),
  }),
  route({
    id: 'saveSchedule',
    method: 'POST',
    path: 'schedules/:schedule',
    action: 'schedules.save',
    idempotent: true,
    summary: 'Create or replace a schedule in all processes',
    body: scheduleBody,
    answer: scheduleAnswer,
    async handle(call) {
      await call.kernel.saveSchedule(call.params.schedule, call.body)
      return find(call)
    },
  }),
  route({
    id: 'removeSchedule',
    method: 'DELETE',
    path: 'schedules/:schedule',
    action: 'schedules.remove',
    summary: 'Remove a schedule in all processes. To restore one that code declares, resume it',
    answer: answers.changed,
    async handle({ kernel, params }) {
      await kernel.removeSchedule(params.schedule)
      return { changed: true }
    },
  }),
  switchRoute('pause', 'Pause a schedule in all processes. Its moments then start nothing'),
  switchRoute('resume', 'Resume a paused schedule, or restore a removed one that code declares'),
  route({
    id: 'runSchedule',
    method: 'POST',
    path: 'schedules/:schedule/run',
    action: 'schedules.run',
    destructive: false,
    summary: 'Start the target of a schedule now',
    answer: z.object({ at: z.number() }),
    status: 202,
    handle: ({ kernel, params }) => kernel.runSchedule(params.schedule),
  }),
  route({
    id: 'backfillSchedule',
    method: 'POST',
    path: 'schedules/:schedule/backfill',
    action: 'schedules.backfill',
    destructive: false,
    summary: 'Start the target once for each moment of a range in the past',
    body: z.strictObject({
      from: bodyMoment,
      /** Default: now. */
      to: bodyMoment.optional(),
      /** The maximum number of moments, oldest first. Default 1000. */
      limit: count.max(1000).optional(),
    }),
    answer: z.object({ moments: z.array(z.number()) }),
    status: 202,
    handle: ({ kernel, params, body }) => kernel.backfillSchedule(params.schedule, body),
  }),
]
