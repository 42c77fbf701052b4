import { z } from 'zod'
import { MAX_DURATION, MAX_MOMENT, QueueError, type Kernel } from '../../../../kernel/index.ts'
import type { HttpAction } from '../access.ts'
import * as answers from './answers.ts'
import { route, type RouteCall, type Route } from './route.ts'
import { limit, moment, name, reference, whole } from './values.ts'

type Reader = Pick<RouteCall<string, undefined, undefined>, 'mayRead'>
type Group = Awaited<ReturnType<Kernel['errorGroup']>>

/** Counts and errors of a queue are only for callers who may also read the queue itself. */
async function mayReadQueue({ mayRead }: Reader, action: HttpAction & { queue: string }): Promise<boolean> {
  return (await mayRead(action)) && mayRead({ type: 'queues.read', queue: action.queue })
}

/**
 * Returns a group with the jobs whose runs the request may read, or `undefined` if there is none. The message of a group may
 * contain data of a tenant, and a caller who may read one of its runs finds the same message there.
 */
async function visible(call: Reader, group: Group): Promise<Group | undefined> {
  const { queue, fingerprint } = group
  if (!(await mayReadQueue(call, { type: 'errors.read', queue, fingerprint }))) return undefined
  const jobs = []
  for (const job of group.jobs) if (await call.mayRead({ type: 'runs.read', runId: job.runId })) jobs.push(job)
  return jobs.length === 0 ? undefined : { ...group, jobs }
}

type GroupCall = Pick<
  RouteCall<'errors/:fingerprint', undefined, undefined>,
  'kernel' | 'params' | 'mayRead' | 'assertMay'
>

/** @throws QueueError `ERROR_UNKNOWN`, also for a group that the request may not read; `REQUEST_FORBIDDEN` */
async function findGroup(call: GroupCall): Promise<Group> {
  const { kernel, params, assertMay } = call
  const group = await visible(call, await kernel.errorGroup(params.fingerprint))
  if (!group) throw groupUnknown(params.fingerprint)
  await assertMay({ queue: group.queue })
  return group
}

function groupUnknown(fingerprint: string): QueueError {
  return new QueueError('ERROR_UNKNOWN', `There is no error group "${fingerprint}". List them with GET errors.`)
}

function statusRoute(verb: 'resolve' | 'ignore' | 'reopen', status: Group['status'], summary: string): Route {
  return route({
    id: `${verb}Error`,
    method: 'POST',
    path: `errors/:fingerprint/${verb}`,
    action: `errors.${verb}`,
    destructive: false,
    idempotent: true,
    summary,
    answer: answers.errorGroup,
    async handle(call) {
      const { fingerprint, jobs } = await findGroup(call)
      return { ...(await call.kernel.setErrorStatus(fingerprint, status)), jobs }
    },
  })
}

export const observabilityRoutes: readonly Route[] = [
  route({
    id: 'getStats',
    method: 'GET',
    path: 'stats',
    action: 'stats.read',
    summary:
      'Count jobs over time, and measure how long they wait and run. Jobs of queues that you may not read are omitted',
    query: z.strictObject({
      /** Only jobs of this queue. Default: the jobs of all queues except queues of plugins. */
      queue: reference.optional(),
      /** Only jobs of the worker with this id. */
      worker: reference.optional(),
      /** An ISO date, or milliseconds since the epoch. Default: one hour before `to`. */
      from: moment.optional(),
      /** An ISO date, or milliseconds since the epoch. Default: now. */
      to: moment.optional(),
      /** Milliseconds from one point to the next. The response contains the step that was used, which may be larger. */
      step: whole(MAX_DURATION).min(1).optional(),
      /** `queue` adds the series of each queue. */
      by: z.enum(['queue']).optional(),
    }),
    answer: answers.stats,
    handle: (call) =>
      call.kernel.stats({ ...call.query, mayRead: (queue) => mayReadQueue(call, { type: 'stats.read', queue }) }),
  }),
  route({
    id: 'listErrors',
    method: 'GET',
    path: 'errors',
    action: 'errors.read',
    summary: 'List the error groups with which jobs failed, newest first',
    query: z.strictObject({
      status: answers.errorGroup.shape.status.optional(),
      queue: reference.optional(),
      worker: reference.optional(),
      limit: limit(100, 500),
    }),
    answer: z.object({ errors: z.array(answers.errorGroup) }),
    handle: async (call) => ({
      errors: await call.kernel.errors({ ...call.query, show: (group) => visible(call, group) }),
    }),
  }),
  route({
    id: 'getError',
    method: 'GET',
    path: 'errors/:fingerprint',
    action: 'errors.read',
    summary: 'Get an error group',
    answer: answers.errorGroup,
    handle: findGroup,
  }),
  statusRoute('resolve', 'resolved', 'Resolve an error group. It opens again if its error occurs again'),
  statusRoute('ignore', 'ignored', 'Ignore an error group. It is still counted and stays ignored'),
  statusRoute('reopen', 'open', 'Reopen an error group'),
  route({
    id: 'listAudit',
    method: 'GET',
    path: 'audit',
    action: 'audit.read',
    summary: 'List the actions that were taken over HTTP, newest first',
    query: z.strictObject({
      actor: name.optional(),
      /** The authorized action, such as `jobs.retry`. */
      action: name.optional(),
      /** Milliseconds since the epoch: the `at` of the last entry of the previous page. */
      before: whole(MAX_MOMENT).optional(),
      limit: limit(100, 1000),
    }),
    answer: z.object({ entries: z.array(answers.auditEntry) }),
    handle: async ({ kernel, query, mayRead }) => ({
      entries: await kernel.audit({
        ...query,
        async mayRead({ subject }) {
          const { queue, job } = subject
          const isJob = queue !== undefined && job !== undefined && subject.runId === undefined
          const runId = isJob ? (await kernel.port('queue').getJob(queue, job))?.runId : subject.runId
          if (!(await mayRead({ ...subject, type: 'audit.read' }))) return false
          if (queue !== undefined && !(await mayRead({ type: 'queues.read', queue }))) return false
          return runId === undefined || mayRead({ type: 'runs.read', runId })
        },
      }),
    }),
  }),
]
