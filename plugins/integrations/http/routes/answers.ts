import { z } from 'zod'
import { bulkReport, queueSettings, schedule, trigger, triggerRecord, wait } from './operator-answers.ts'
import { instance, worker } from './worker-answers.ts'

/*
 * The responses of the routes, for the OpenAPI document. An object is loose if plugins add members to it.
 * Moments are milliseconds since the epoch.
 */

const STATES = ['waiting', 'delayed', 'active', 'completed', 'failed', 'cancelled'] as const

export const state = z.enum(STATES)
export const status = z.enum(['running', 'completed', 'failed', 'cancelled'])

export const error = z.looseObject({ name: z.string(), message: z.string(), code: z.string().optional() })

export const enqueued = z.object({
  queue: z.string(),
  name: z.string(),
  id: z.string(),
  runId: z.string(),
  deduplicated: z.boolean(),
})

export const counts = z.object(
  Object.fromEntries(STATES.map((name) => [name, z.number().int()])) as Record<(typeof STATES)[number], z.ZodInt>,
)

/** How many jobs match a filter. `truncated`: only the newest 100,000 candidates were examined. */
export const totals = z.object({ counts, truncated: z.boolean() })

export const queue = z.object({
  name: z.string(),
  paused: z.boolean(),
  counts,
  ...queueSettings,
  /** In lists: when the oldest waiting job was due. Absent if none waits. */
  oldest: z.number().optional(),
})

export const job = z.looseObject({
  id: z.string(),
  queue: z.string(),
  name: z.string(),
  runId: z.string(),
  state,
  data: z.unknown().optional(),
  priority: z.number(),
  /** Absent if there are none. */
  tags: z.array(z.string()).optional(),
  headers: z.record(z.string(), z.string()).optional(),
  createdAt: z.number(),
  runAt: z.number(),
  attemptsMade: z.number().int(),
  claims: z.number().int(),
  crashes: z.number().int(),
  round: z.number().int(),
  startedAt: z.number().optional(),
  finishedAt: z.number().optional(),
  progress: z.number().optional(),
  result: z.unknown().optional(),
  error: error.optional(),
})

export const explanation = z.looseObject({
  id: z.string(),
  queue: z.string().optional(),
  name: z.string().optional(),
  runId: z.string().optional(),
  state: state.optional(),
  reasons: z.array(z.looseObject({ code: z.string(), sentence: z.string() })),
})

export const run = z.object({
  runId: z.string(),
  status,
  name: z.string(),
  queue: z.string().optional(),
  jobId: z.string().optional(),
  flow: z.string().optional(),
  tags: z.array(z.string()).optional(),
  startedAt: z.number(),
  updatedAt: z.number(),
  endedAt: z.number().optional(),
  head: z.number().int(),
})

export const event = z.looseObject({
  id: z.string(),
  runId: z.string(),
  seq: z.number().int().min(1),
  ts: z.number(),
  type: z.string(),
  data: z.unknown().optional(),
  key: z.string().optional(),
  flow: z.string().optional(),
  step: z.string().optional(),
  stepId: z.string().optional(),
  attempt: z.number().int().optional(),
})

export const timeline = z.looseObject({
  run,
  duration: z.number(),
  jobs: z.array(
    z.looseObject({
      jobId: z.string(),
      step: z.string(),
      status: z.string(),
      attempts: z.array(z.looseObject({ attempt: z.number(), startedAt: z.number(), outcome: z.string() })),
    }),
  ),
})

export const runExplanation = z.looseObject({
  runId: z.string(),
  status,
  phase: z.string(),
  jobs: z.array(z.looseObject({ id: z.string(), step: z.string(), status: z.string() })),
  joins: z.array(z.looseObject({ step: z.string() })),
  gathers: z.array(z.looseObject({ event: z.string() })),
  sentences: z.array(z.string()),
})

export const result = z.object({
  status,
  /** The result, if the run is `completed`. */
  result: z.unknown().optional(),
  /** The error, if the run is `failed`. */
  error: error.optional(),
  /** The reason, if the run is `cancelled`. */
  reason: z.string().optional(),
})

export const forked = z.object({ runId: z.string(), deduplicated: z.boolean() })

export const flow = z.object({
  name: z.string(),
  version: z.string(),
  steps: z.array(
    z.looseObject({
      step: z.string(),
      worker: z.string(),
      queue: z.string(),
      role: z.enum(['entry', 'step', 'compensation']),
      subscribes: z.unknown().optional(),
      emits: z.unknown().optional(),
    }),
  ),
})

const quantiles = z.object({
  count: z.number().int(),
  /** In milliseconds. Null if the count is 0. */
  p50: z.number().nullable(),
  p95: z.number().nullable(),
  p99: z.number().nullable(),
})

const series = z.array(
  z.object({
    ts: z.number(),
    enqueued: z.number().int(),
    started: z.number().int(),
    completed: z.number().int(),
    failed: z.number().int(),
    retried: z.number().int(),
    expired: z.number().int(),
    /** The time from when attempts were due until they started. */
    wait: quantiles,
    /** The time from when attempts started until they ended. */
    run: quantiles,
  }),
)

export const stats = z.object({
  /** Milliseconds from one point to the next. */
  step: z.number().int(),
  series,
  /** With `by=queue`: the series of each queue that had jobs. */
  queues: z.array(z.object({ queue: z.string(), series })).optional(),
})

export const errorGroup = z.object({
  fingerprint: z.string(),
  name: z.string(),
  /** The message, with `…` instead of quoted values, ids and numbers. */
  message: z.string(),
  code: z.string().optional(),
  /** The function and file in which the error was thrown. */
  frame: z.string().optional(),
  queue: z.string(),
  worker: z.string(),
  count: z.number().int(),
  firstSeen: z.number(),
  lastSeen: z.number(),
  status: z.enum(['open', 'resolved', 'ignored']),
  /** Whether the error occurred again after the group was resolved. */
  regressed: z.boolean(),
  statusAt: z.number().optional(),
  /** The latest jobs that failed with such an error and that you may read. */
  jobs: z.array(z.object({ id: z.string(), runId: z.string(), at: z.number(), message: z.string() })),
})

export const auditEntry = z.object({
  at: z.number(),
  /** Who took the action: the name from `http.authorize`, or the token. */
  actor: z.string().optional(),
  action: z.string(),
  route: z.string(),
  subject: z.record(z.string(), z.string()),
  /** `done`, or the code of the error. */
  outcome: z.string(),
  status: z.number().int(),
})

export const health = z.object({
  status: z.enum(['ok', 'unavailable']),
  /** The result for each store. */
  checks: z.record(z.string(), z.object({ ok: z.boolean(), ms: z.number(), message: z.string().optional() })),
})

export const changed = z.object({
  /** False if there was nothing to change. */
  changed: z.boolean(),
})

export const problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number().int(),
  detail: z.string(),
  /** The code of the error, or `INTERNAL`. */
  code: z.string(),
  /** The section of the documentation about the code, as a path in the package. Missing for `INTERNAL`. */
  docs: z.string().optional(),
})

/** The schemas by their names in the document. */
export const named: Readonly<Record<string, z.ZodType>> = {
  ...{
    Enqueued: enqueued,
    Queue: queue,
    Job: job,
    JobTotals: totals,
    JobExplanation: explanation,
    Run: run,
    Event: event,
  },
  ...{ Timeline: timeline, RunExplanation: runExplanation, RunResult: result, ForkedRun: forked, Flow: flow },
  ...{
    Worker: worker,
    Instance: instance,
    Trigger: trigger,
    TriggerRecord: triggerRecord,
    Schedule: schedule,
    Wait: wait,
  },
  ...{ Stats: stats, ErrorGroup: errorGroup, AuditEntry: auditEntry, BulkReport: bulkReport },
  ...{ Health: health, Changed: changed, Problem: problem, SerializedError: error },
}
