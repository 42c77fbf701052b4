import { refusal, type Kernel, type RunContext } from '../../kernel/index.ts'
import type { Arrived } from './book.ts'
import { awaitingKey, resumedKey, streamOf } from './record.ts'
import type { WaitRecord, WaitRequest, WaitResult, WaitStatus } from './record.ts'
import type { WaitStreams } from './streams.ts'

/** Milliseconds after which a job that waits looks again by itself, whatever it waits for. */
const LOOK_AGAIN = 7 * 24 * 3_600_000

export interface Waits {
  /**
   * Begins a wait of this job, or looks how it stands. All of it may be done again after a crash. A
   * wait that is over is over for good: its result is an event of the run.
   *
   * @param name tells the waits of one job apart
   * @param describe called when the wait begins
   */
  look(ctx: RunContext, name: string, describe: () => WaitRequest, options?: LookOptions): Promise<WaitStatus>
  /** What the waits that this attempt has looked at are still registered for; they end with the job. */
  abandon(ctx: RunContext): Promise<void>
  pending(ctx: RunContext): boolean
}

interface LookOptions {
  /** The result, where the caller has it from the log already. */
  known?: WaitResult
  /** Called once the wait is registered. */
  registered?: (record: WaitRecord) => Promise<void>
}

export function createWaits(kernel: Kernel, streams: WaitStreams): Waits {
  const pending = new WeakMap<RunContext, Map<string, WaitRecord>>()

  async function stored<T>(runId: string, key: string): Promise<T | undefined> {
    return (await kernel.port('events').byKey(runId, key))?.data as T | undefined
  }

  async function append(ctx: RunContext, type: string, data: object, key: string): Promise<boolean> {
    const { job } = ctx
    const place = { flow: job.flow?.name, step: job.flow?.step ?? job.name, stepId: job.id }
    const result = await ctx.append([{ type, data, key, ...place }])
    if (!result.ok) throw refusal(result.reason, job)
    return result.events.length > 0
  }

  async function begin(ctx: RunContext, name: string, request: WaitRequest): Promise<WaitRecord> {
    const now = kernel.clock.now()
    const events = request.parts.some(({ type }) => type === 'event' || type === 'webhook')
    const run = events ? await kernel.port('events').runs.get(ctx.runId) : undefined
    const record: WaitRecord = {
      name,
      mode: request.mode,
      parts: request.parts,
      since: (run?.startedAt ?? ctx.job.createdAt) - (request.lookback ?? 0),
      ...(request.timeout !== undefined && { until: now + request.timeout }),
    }
    const key = awaitingKey(ctx.job.id, name)
    if (await append(ctx, 'step.awaiting', record, key)) return record
    return (await stored<WaitRecord>(ctx.runId, key))!
  }

  /** What each part has come to: the event, a moment that has passed, or nothing yet. */
  async function arrivals({ parts, since }: WaitRecord, filters: WaitRequest['filters']) {
    const now = kernel.clock.now()
    return Promise.all(
      parts.map(async (part, index): Promise<Omit<Arrived, 'seq'> | undefined> => {
        if ('at' in part) return part.at <= now ? { at: part.at, payload: undefined } : undefined
        const { events } = await streams.book(streamOf(part.event, part.key))
        return events.find(({ at, payload }) => at >= since && (filters[index]?.(payload) ?? true))
      }),
    )
  }

  async function evaluate(record: WaitRecord, filters: WaitRequest['filters']): Promise<WaitResult | undefined> {
    const { name, mode, until = Infinity } = record
    const came = await arrivals(record, filters)
    const inTime = came.map((one) => (one && one.at <= until ? one : undefined))
    if (mode === 'all' && inTime.every((one) => one !== undefined)) {
      return { name, timedOut: false, payloads: inTime.map(({ payload }) => payload) }
    }
    if (mode !== 'all') {
      const first = inTime.reduce((best, one, index) => {
        return one && one.at < (inTime[best]?.at ?? Infinity) ? index : best
      }, -1)
      if (first >= 0) {
        const index = mode === 'any' ? { index: first } : {}
        return { name, timedOut: false, payload: inTime[first]!.payload, ...index }
      }
    }
    return until <= kernel.clock.now() ? { name, timedOut: true } : undefined
  }

  function wakeAt({ parts, until = Infinity }: WaitRecord): number {
    const now = kernel.clock.now()
    const moments = parts.flatMap((part) => ('at' in part && part.at > now ? [part.at] : []))
    return Math.min(now + LOOK_AGAIN, until, ...moments)
  }

  async function look(
    ctx: RunContext,
    name: string,
    describe: () => WaitRequest,
    { known, registered }: LookOptions = {},
  ): Promise<WaitStatus> {
    const { runId, job, claim } = ctx
    const again = claim > 1 || job.flow?.forked === true
    const before = known ?? (again ? await stored<WaitResult>(runId, resumedKey(job.id, name)) : undefined)
    const started =
      again && (!before || job.crashes > 0) ? await stored<WaitRecord>(runId, awaitingKey(job.id, name)) : undefined
    if (before) {
      // Whoever noted the result may have died before it left the streams.
      if (started) await streams.close(started, job.id)
      return { over: true, result: before, fresh: false }
    }
    const request = describe()
    const record = started ?? (await begin(ctx, name, request))
    await streams.register(record, { runId, jobId: job.id, queue: job.queue })
    await registered?.(record)
    const result = await evaluate(record, request.filters)
    if (!result) {
      const others = pending.get(ctx) ?? new Map<string, WaitRecord>()
      pending.set(ctx, others.set(name, record))
      return { over: false, wakeAt: wakeAt(record) }
    }
    await append(ctx, 'step.resumed', result, resumedKey(job.id, name))
    await streams.close(record, job.id)
    return { over: true, result, fresh: true }
  }

  return {
    look,
    pending: (ctx) => pending.has(ctx),
    async abandon(ctx) {
      const left = pending.get(ctx) ?? new Map<string, WaitRecord>()
      pending.delete(ctx)
      await Promise.all([...left.values()].map((record) => streams.close(record, ctx.job.id)))
    },
  }
}
