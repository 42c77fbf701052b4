import type { PluginKernel, RunContext } from '../../../kernel/index.ts'
import { awaitingKey, resumedKey } from '../lib/wait-record.ts'
import type { Taken } from './book.ts'
import { streamOf } from './record.ts'
import type { Part, WaitRecord, WaitRequest, WaitResult, WaitStatus } from './record.ts'
import type { WaitStreams } from './streams.ts'

/** Milliseconds after which a job that waits looks again by itself, whatever it waits for. */
const LOOK_AGAIN = 7 * 24 * 3_600_000
/** Milliseconds it rests at least: a store whose clock is ahead of ours hands it out before its time. */
const EARLY = 20

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
  /** Names of the failed parts that the handler has gone on from. */
  past?: readonly string[]
  /** Called once the wait is registered. */
  registered?: (record: WaitRecord) => Promise<void>
}

/** What a part has come to; a moment takes nothing. */
interface Arrival {
  taken?: Taken
  at: number
  payload: unknown
}

/** How a wait is over, and which events it was over with. */
interface Verdict {
  result: WaitResult
  taken: (Taken | undefined)[]
}

export function createWaits(kernel: PluginKernel, streams: WaitStreams): Waits {
  const pending = new WeakMap<RunContext, Map<string, WaitRecord>>()

  async function stored<T>(runId: string, key: string): Promise<T | undefined> {
    return (await kernel.port('events').byKey(runId, key))?.data as T | undefined
  }

  /**
   * The moment from which on events count for a run: when it was acknowledged to whoever started it, which may be long
   * before a worker begins it. A fork counts from its own beginning.
   */
  async function acknowledgedAt({ runId, job }: RunContext): Promise<number> {
    const [run, started] = await Promise.all([
      kernel.port('events').runs.get(runId),
      job.flow && stored<{ acknowledgedAt?: number }>(runId, 'flow.started'),
    ])
    const begun = run?.startedAt ?? job.createdAt
    return Math.min(begun, job.flow ? (started?.acknowledgedAt ?? begun) : job.createdAt)
  }

  /** Of several waits of a run for one event each takes another: the next one starts behind the last one taken. */
  async function behindTaken(runId: string, part: Part): Promise<Part> {
    if (!('event' in part) || part.once) return part
    const { taken } = await streams.book(streamOf(part.event, part.key))
    if (!Object.hasOwn(taken, runId)) return part
    const { seq: after, behind } = taken[runId]!
    return { ...part, ...(after !== undefined && { after }), ...(behind && { behind }) }
  }

  async function begin(ctx: RunContext, name: string, request: WaitRequest, past?: readonly string[]) {
    const now = kernel.clock.now()
    const events = request.parts.some(({ type }) => type === 'event' || type === 'webhook')
    const [begun, ...parts] = await Promise.all([
      events ? acknowledgedAt(ctx) : now,
      ...request.parts.map((part) => behindTaken(ctx.runId, part)),
    ])
    const record: WaitRecord = {
      name,
      mode: request.mode,
      parts,
      since: begun - (request.lookback ?? 0),
      ...(request.timeout !== undefined && { until: now + request.timeout }),
      ...(past && { past }),
    }
    const key = awaitingKey(ctx.job.id, name)
    if (await kernel.record(ctx, 'step.awaiting', record, { key })) return record
    return (await stored<WaitRecord>(ctx.runId, key))!
  }

  /** What each part has come to: the event, a moment that has passed, or nothing yet. */
  async function arrivals(record: WaitRecord, jobId: string, filters: WaitRequest['filters'], now: number) {
    const { parts, until = Infinity } = record
    return Promise.all(
      parts.map(async (part, index): Promise<Arrival | undefined> => {
        if ('at' in part) return part.at <= Math.min(now, until) ? { at: part.at, payload: undefined } : undefined
        return streams.find(record, part, jobId, filters[index] ?? (() => true))
      }),
    )
  }

  async function evaluate(
    record: WaitRecord,
    jobId: string,
    filters: WaitRequest['filters'],
    now: number,
  ): Promise<Verdict | undefined> {
    const { name, mode, until = Infinity } = record
    const came = await arrivals(record, jobId, filters, now)
    if (mode === 'all' && came.every((one) => one !== undefined)) {
      const payloads = came.map(({ payload }) => payload)
      return { result: { name, timedOut: false, payloads }, taken: came.map(({ taken }) => taken) }
    }
    const first = came.reduce((best, one, index) => (one && one.at < (came[best]?.at ?? Infinity) ? index : best), -1)
    if (mode !== 'all' && first >= 0) {
      const { payload, taken } = came[first]!
      const index = mode === 'any' ? { index: first } : {}
      return {
        result: { name, timedOut: false, payload, ...index },
        taken: came.map((one) => (one === came[first] ? taken : undefined)),
      }
    }
    return until <= now ? { result: { name, timedOut: true }, taken: [] } : undefined
  }

  /** @param now the moment that the wait was found to go on at */
  function wakeAt({ parts, until = Infinity }: WaitRecord, now: number): number {
    const moments = parts.flatMap((part) => ('at' in part && part.at > now ? [part.at] : []))
    return Math.max(now + EARLY, Math.min(now + LOOK_AGAIN, until, ...moments))
  }

  async function look(
    ctx: RunContext,
    name: string,
    describe: () => WaitRequest,
    { known, past, registered }: LookOptions = {},
  ): Promise<WaitStatus> {
    const { runId, job, claim } = ctx
    const again = claim > 1 || job.flow?.forked === true
    const before = known ?? (again ? await stored<WaitResult>(runId, resumedKey(job.id, name)) : undefined)
    const started =
      again && (!before || job.crashes > 0) ? await stored<WaitRecord>(runId, awaitingKey(job.id, name)) : undefined
    if (before) {
      // Whoever noted the result may have died before it left the streams.
      if (started) await streams.close(started, job.id)
      return { over: true, result: before, seq: Infinity }
    }
    const request = describe()
    const record = started ?? (await begin(ctx, name, request, past))
    await streams.register(record, { runId, jobId: job.id, queue: job.queue }, started !== undefined)
    await registered?.(record)
    const now = kernel.clock.now()
    const verdict = await evaluate(record, job.id, request.filters, now)
    if (!verdict) {
      const others = pending.get(ctx) ?? new Map<string, WaitRecord>()
      pending.set(ctx, others.set(name, record))
      return { over: false, wakeAt: wakeAt(record, now) }
    }
    const resumed = await kernel.record(ctx, 'step.resumed', verdict.result, { key: resumedKey(job.id, name) })
    await streams.close(record, job.id, verdict.taken)
    return { over: true, result: verdict.result, seq: resumed?.seq ?? Infinity }
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
