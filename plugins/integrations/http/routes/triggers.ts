import { z } from 'zod'
import { QueueError, type Kernel } from '../../../../kernel/index.ts'
import * as answers from './answers.ts'
import { trigger as triggerAnswer, triggerRecord } from './operator-answers.ts'
import { route, type RouteCall, type Route } from './route.ts'
import { count, jobHeadersOf, limit, ms, name } from './values.ts'

const target = {
  /** The flow to start, or else the worker to enqueue. */
  flow: name.optional(),
  entry: name.optional(),
  worker: name.optional(),
  /** How many events may pass in a period of milliseconds. */
  rateLimit: z.strictObject({ limit: count, period: ms.min(1) }).optional(),
}

/** The most variables that a rotation of secrets may name. */
const MAX_SECRETS = 10

/** The options of every kind of verification. `secretEnv` names the environment variable of the secret. The plugin checks which fit. */
const verify = z.strictObject({
  type: z.enum(['hmac', 'standard', 'bearer', 'apiKey', 'basic']),
  secretEnv: z.union([name, z.array(name).min(1).max(MAX_SECRETS)]),
  scheme: z.enum(['github', 'stripe']).optional(),
  algorithm: z.enum(['sha1', 'sha256', 'sha384', 'sha512']).optional(),
  encoding: z.enum(['hex', 'base64', 'base64url']).optional(),
  header: name.optional(),
  prefix: name.optional(),
  timestampHeader: name.optional(),
  signed: name.optional(),
  tolerance: ms.optional(),
  query: name.optional(),
  username: name.optional(),
})

const triggerBody = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('event'), event: name, ...target }),
  z.strictObject({ type: z.literal('manual'), ...target }),
  z.strictObject({ type: z.literal('webhook'), path: name, verify, ...target }),
])

async function find({
  kernel,
  params,
}: Pick<RouteCall<'triggers/:trigger', undefined, undefined>, 'kernel' | 'params'>) {
  const details = (await kernel.triggerDetails()).find(({ name }) => name === params.trigger)
  if (details) return details
  throw new QueueError('TRIGGER_UNKNOWN', `There is no trigger "${params.trigger}" here. List them with GET triggers.`)
}

function switchRoute(verb: 'pause' | 'resume', summary: string): Route {
  return route({
    id: `${verb}Trigger`,
    method: 'POST',
    path: `triggers/:trigger/${verb}`,
    action: `triggers.${verb}`,
    destructive: false,
    idempotent: true,
    summary,
    answer: triggerAnswer,
    async handle(call) {
      await call.kernel[`${verb}Trigger`](call.params.trigger)
      return find(call)
    },
  })
}

export const triggerRoutes: readonly Route[] = [
  route({
    id: 'listTriggers',
    method: 'GET',
    path: 'triggers',
    action: 'triggers.read',
    summary: 'List the triggers of this process and of all processes, with their last outcomes',
    answer: z.object({ triggers: z.array(triggerAnswer) }),
    handle: async ({ kernel }) => ({ triggers: await kernel.triggerDetails() }),
  }),
  route({
    id: 'triggerHistory',
    method: 'GET',
    path: 'triggers/:trigger/history',
    action: 'triggers.read',
    summary:
      'List the events that fired a trigger or were refused, newest first. Entries of runs that you may not read are omitted',
    query: z.strictObject({ limit: limit(100, 1000) }),
    answer: z.object({ records: z.array(triggerRecord) }),
    async handle({ kernel, params, query, mayRead }) {
      const records = []
      for (const record of await kernel.triggerHistory(params.trigger, query)) {
        const runIds = (record.started ?? []).flatMap((start) => ('runId' in start ? [start.runId] : []))
        const allowed = await Promise.all(runIds.map((runId) => mayRead({ type: 'runs.read', runId })))
        if (allowed.every(Boolean)) records.push(record)
      }
      return { records }
    },
  }),
  route({
    id: 'fireTrigger',
    method: 'POST',
    path: 'triggers/:trigger',
    action: 'triggers.fire',
    destructive: false,
    summary: 'Fire a trigger manually',
    body: z.strictObject({ payload: z.unknown().optional(), id: name.optional(), key: name.optional() }),
    answer: answers.enqueued,
    status: 202,
    async handle({ kernel, params, body: { payload, ...options }, request, assertMay }) {
      const job = await kernel.emitTrigger(params.trigger, payload, { ...options, headers: jobHeadersOf(request) })
      if (job.deduplicated) await assertMay({ queue: job.queue, job: job.id, runId: job.runId })
      return job
    },
  }),
  route({
    id: 'saveTrigger',
    method: 'POST',
    path: 'triggers/:trigger/save',
    action: 'triggers.save',
    idempotent: true,
    summary: 'Create a trigger in all processes, or replace a saved trigger',
    body: triggerBody,
    answer: triggerAnswer,
    async handle(call) {
      await call.kernel.saveTrigger(call.params.trigger, call.body as Parameters<Kernel['saveTrigger']>[1])
      return find(call)
    },
  }),
  route({
    id: 'removeTrigger',
    method: 'DELETE',
    path: 'triggers/:trigger',
    action: 'triggers.remove',
    summary: 'Remove a trigger in all processes. To restore one that code declares, resume it',
    answer: answers.changed,
    async handle({ kernel, params }) {
      await kernel.removeTrigger(params.trigger)
      return { changed: true }
    },
  }),
  switchRoute('pause', 'Pause a trigger in all processes. Its events then start nothing'),
  switchRoute('resume', 'Resume a paused trigger, or restore a removed one that code declares'),
]
