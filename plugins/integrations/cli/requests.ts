import { z } from 'zod'

const job = z.object({ id: z.string(), queue: z.string(), name: z.string(), runId: z.string() })
const moment = z.union([z.number(), z.date()])

/** The parameters of each request, checked where they arrive. */
export const params = {
  /** Who listens. */
  hello: z.object({}),
  /** Queues a job. `delay` in milliseconds. */
  enqueue: z.object({
    worker: z.string(),
    data: z.unknown(),
    id: z.string().optional(),
    delay: z.number().optional(),
  }),
  /** Waits for the end of a job, or of the flow it starts, and answers the result. */
  result: job,
  /** Runs, newest first. */
  runs: z.object({
    status: z.enum(['running', 'completed', 'failed', 'cancelled']).optional(),
    flow: z.string().optional(),
    tag: z.string().optional(),
    limit: z.number().optional(),
  }),
  /** A run with its events. */
  run: z.object({ runId: z.string() }),
  /** The state of a run: now, at a `seq`, or at a date. */
  state: z.object({ runId: z.string(), at: moment.optional() }),
  /** Why a job does not run, or what became of it; without a queue it is looked for in all. */
  explain: z.object({ id: z.string(), queue: z.string().optional() }),
  /** Moves dead letters back to where they came from. */
  redrive: z.object({ queue: z.string(), limit: z.number().optional() }),
}

export type Method = keyof typeof params
export type Params<M extends Method> = z.infer<(typeof params)[M]>
