import type { PluginKernel, RunContext } from '../../../kernel/index.ts'
import { openChannel } from '../../lib/channel.ts'
import { awaitingKey, resumedKey } from '../lib/wait-record.ts'
import type { Taken } from './wait-index.ts'
import { streamOf } from './record.ts'
import type { Part, WaitRecord, WaitRequest, WaitResult, WaitStatus } from './record.ts'
import type { WaitStreams } from './streams.ts'

const channel = openChannel('wait')
/** Milliseconds after which a waiting job checks again by itself. */
const RECHECK_DELAY = 7 * 24 * 3_600_000
/** The minimum delay of a waiting job, in milliseconds. Without it, a store whose clock is ahead would return the job at once. */
const MIN_DELAY = 20

export interface Waits {
  /**
   * Begins a wait of this job, or checks its state. It may safely be repeated after a crash. The result of a
   * wait is final, because it is an event of the run.
   *
   * @param name unique among the waits of the job
   * @param describe called when the wait begins
   */
  look(ctx: RunContext, name: string, describe: () => WaitRequest, options?: LookOptions): Promise<WaitStatus>
  /** Closes the open waits that this attempt has checked. Call it when the job ends. */
  abandon(ctx: RunContext): Promise<void>
  /** Whether this attempt has an open wait. */
  pending(ctx: RunContext): boolean
}

interface LookOptions {
  /** The result, if the caller has read it from the log already. */
  known?: WaitResult
  /** Names of failed sub-steps that the handler caught and continued from. */
  past?: readonly string[]
  /** Called once the wait is registered. */
  registered?: (record: WaitRecord) => Promise<void>
}

/** The result of one part of a wait. `taken` is absent for a moment. */
interface Arrival {
  taken?: Taken
  at: number
  payload: unknown
  headers?: Readonly<Record<string, string>>
}

/** The result of a wait, and the events that it takes. */
interface Verdict {
  result: WaitResult
  taken: (Taken | undefined)[]
}

/**
 * Creates the waits of jobs. The log of the run holds the state of each wait:
 *
 * ```
 *            step.awaiting                   registered in its streams
 *   begin ─────────────────▶ recorded ─────────────────────────────────▶ open ◀─────┐
 *                                                                         │         │ nothing has come: the job is
 *                                                            evaluate() ──┼─────────┘ deferred until its next check
 *                                                                         │
 *                                                                         │ came, or timed out: step.resumed
 *                                                                         ▼
 *            removed from its streams (wait.closed)                     over
 * ```
 *
 * `step.awaiting` and `step.resumed` have keys, so each is stored once. A process that dies in between leaves a state
 * from which the next attempt continues.
 */
export function createWaits(kernel: PluginKernel, streams: WaitStreams): Waits {
  const pending = new WeakMap<RunContext, Map<string, WaitRecord>>()

  async function stored<T>(runId: string, key: string): Promise<T | undefined> {
    return (await kernel.port('events').byKey(runId, key))?.data as T | undefined
  }

  /**
   * Returns the moment from which on events count for a run: the acknowledgement of its start, which may be long before
   * a worker begins it. A fork counts events from its own start.
   */
  async function acknowledgedAt({ runId, job }: RunContext): Promise<number> {
    const [run, started] = await Promise.all([
      kernel.port('events').runs.get(runId),
      job.flow && stored<{ acknowledgedAt?: number }>(runId, 'flow.started'),
    ])
    const begun = run?.startedAt ?? job.createdAt
    return Math.min(begun, job.flow ? (started?.acknowledgedAt ?? begun) : job.createdAt)
  }

  /** Several waits of a run for the same event take different events: each starts after the last one that was taken. */
  async function behindTaken(runId: string, part: Part): Promise<Part> {
    if (!('event' in part) || part.once) return part
    const { taken } = await streams.waitIndex(streamOf(part.event, part.key))
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

  /** Returns the result of each part: an event, a moment that has passed, or `undefined`. */
  async function arrivals(record: WaitRecord, jobId: string, filters: WaitRequest['filters'], now: number) {
    const { parts, until = Infinity, headers } = record
    return Promise.all(
      parts.map(async (part, index): Promise<Arrival | undefined> => {
        if ('at' in part)
          return part.at <= Math.min(now, until) ? { at: part.at, payload: undefined, headers } : undefined
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
      return { result: { name, timedOut: false, payloads, ...causesOf(came) }, taken: came.map(({ taken }) => taken) }
    }
    const first = came.reduce((best, one, index) => (one && one.at < (came[best]?.at ?? Infinity) ? index : best), -1)
    if (mode !== 'all' && first >= 0) {
      const { payload, taken } = came[first]!
      const index = mode === 'any' ? { index: first } : {}
      return {
        result: { name, timedOut: false, payload, ...index, ...causesOf([came[first]!]) },
        taken: came.map((one) => (one === came[first] ? taken : undefined)),
      }
    }
    return until <= now ? { result: { name, timedOut: true, ...causesOf([record]) }, taken: [] } : undefined
  }

  /** Returns when the job checks again. @param now the moment of the last check */
  function wakeAt({ parts, until = Infinity }: WaitRecord, now: number): number {
    const moments = parts.flatMap((part) => ('at' in part && part.at > now ? [part.at] : []))
    return Math.max(now + MIN_DELAY, Math.min(now + RECHECK_DELAY, until, ...moments))
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
      // The process that recorded the result may have died before it closed the wait in its streams.
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
    look: (ctx, name, ...how) =>
      channel.isHeard ? channel.trace({ name, ctx }, () => look(ctx, name, ...how)) : look(ctx, name, ...how),
    pending: (ctx) => pending.has(ctx),
    async abandon(ctx) {
      const left = pending.get(ctx) ?? new Map<string, WaitRecord>()
      pending.delete(ctx)
      await Promise.all([...left.values()].map((record) => streams.close(record, ctx.job.id)))
    },
  }
}

function causesOf(arrivals: readonly Pick<Arrival, 'headers'>[]): Pick<WaitResult, 'causes'> {
  const causes = arrivals.flatMap(({ headers }) => (headers ? [headers] : []))
  return causes.length > 0 ? { causes } : {}
}
