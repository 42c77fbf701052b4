import { z } from 'zod'

/** The report of a bulk action. Moments are milliseconds since the epoch. */
export const bulkReport = z.looseObject({
  id: z.string(),
  action: z.enum(['retry', 'cancel', 'remove', 'promote', 'redrive']),
  /** The filter, including the states to which the action applies. */
  filter: z.looseObject({}),
  status: z.enum(['waiting', 'running', 'aborting', 'completed', 'aborted', 'failed']),
  requestedAt: z.number(),
  startedAt: z.number().optional(),
  endedAt: z.number().optional(),
  limit: z.number().int(),
  /** How many jobs matched at the start, at most 100,000. */
  total: z.number().int().optional(),
  /** How many jobs were selected so far. At the end, this is the sum of the next three. */
  matched: z.number().int(),
  done: z.number().int(),
  /** Jobs that have changed since they were selected, or to which the action does not apply. */
  skipped: z.number().int(),
  failed: z.number().int(),
  /** The first ten kinds of reasons why jobs were skipped or have failed. */
  reasons: z.array(
    z.object({
      code: z.string(),
      message: z.string(),
      job: z.object({ queue: z.string(), id: z.string() }),
      count: z.number().int(),
    }),
  ),
  /** Whether the action stopped at its limit, so that more jobs may match. */
  truncated: z.boolean(),
})

export const wait = z.object({
  runId: z.string(),
  jobId: z.string(),
  queue: z.string(),
  name: z.string(),
  kind: z.enum(['event', 'webhook']),
  /** The name and key of the event. Absent for a webhook. */
  event: z.string().optional(),
  key: z.string().optional(),
  startedAt: z.number(),
  /** When the wait times out. Absent without a timeout. */
  until: z.number().optional(),
})

export const schedule = z.looseObject({
  name: z.string(),
  /** `shared` if it was saved for all processes, `code` if this process declares it. */
  source: z.enum(['code', 'shared']),
  paused: z.boolean(),
  /** Whether operators have removed it, although code declares it. */
  removed: z.boolean(),
  next: z.number().optional(),
  /** The next five moments. */
  upcoming: z.array(z.number()),
  /** The outcomes of the last five starts, scheduled or manual, if they are kept and you may read them. */
  recent: z.array(z.object({ at: z.number(), status: z.string(), runId: z.string(), jobId: z.string().optional() })),
})

export const trigger = z.looseObject({
  name: z.string(),
  type: z.string(),
  event: z.string().optional(),
  path: z.string().optional(),
  url: z.string().optional(),
  /** How requests to a saved webhook are verified. It has no secret. */
  verify: z.looseObject({ type: z.string(), secretEnv: z.union([z.string(), z.array(z.string())]) }).optional(),
  subscriptions: z.array(
    z.object({
      id: z.string(),
      flow: z.string().optional(),
      entry: z.string().optional(),
      worker: z.string().optional(),
    }),
  ),
  /** `shared` if it was saved for all processes, `code` if this process declares it. */
  source: z.enum(['code', 'shared']),
  paused: z.boolean(),
  /** Whether operators have removed it, although code declares it. */
  removed: z.boolean(),
  /** The outcomes of the newest five events. */
  recent: z.array(z.object({ type: z.enum(['fired', 'refused']), at: z.number(), reason: z.string().optional() })),
})

export const triggerRecord = z.looseObject({ type: z.enum(['fired', 'refused']), id: z.string(), at: z.number() })

/** The settings of a queue in all processes, in the response for one queue. `period` is in milliseconds. */
export const queueSettings = {
  limits: z
    .object({
      concurrency: z.number().int().optional(),
      rate: z.object({ limit: z.number().int(), period: z.number() }).optional(),
    })
    .optional(),
  pausedKeys: z.array(z.object({ key: z.string(), since: z.number() })).optional(),
}
