import { z } from 'zod'

/** Limits of the jobs of a worker besides its concurrency. Times are in milliseconds. */
const rate = z.object({ limit: z.number(), period: z.number() })
const limits = z.object({
  perKey: z.number().optional(),
  rate: rate.extend({ byKey: z.boolean() }).optional(),
  timeout: z.number().optional(),
  singleton: z.literal(true).optional(),
  fair: z.literal(true).optional(),
  /** The limits of the option `limits`. */
  combined: z
    .array(
      z.object({
        concurrency: z.number().optional(),
        rate: rate.optional(),
        byKey: z.boolean(),
        group: z.string().optional(),
      }),
    )
    .optional(),
})

export const worker = z.object({
  id: z.string(),
  queue: z.string(),
  name: z.string(),
  runtime: z.string(),
  concurrency: z.number(),
  limits: limits.optional(),
  /** Whether this process runs jobs of the worker. */
  started: z.boolean(),
  flows: z.array(z.object({ flow: z.string(), role: z.string(), step: z.string() })),
})

export const workerDetails = worker.extend({
  /** The JSON Schema of the data of its jobs. */
  input: z.record(z.string(), z.unknown()).optional(),
})

export const instance = z.looseObject({
  id: z.string(),
  host: z.string(),
  pid: z.number(),
  version: z.string(),
  startedAt: z.number(),
  seenAt: z.number(),
  workers: z.array(z.looseObject({ id: z.string(), queue: z.string(), limits: limits.optional() })),
  flows: z.record(z.string(), z.string()),
  /** The memory of its process, in bytes. Absent for an instance of an older version. */
  memory: z.number().optional(),
  /** Steps that open runs need and that have no worker in its process. */
  missing: z.array(z.object({ flow: z.string(), step: z.string(), runs: z.number() })).optional(),
})
