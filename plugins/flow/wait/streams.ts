import type { EventDraft, JobState, PluginKernel, RunOutcome } from '../../../kernel/index.ts'
import { createProjection } from '../../lib/projection.ts'
import { createAgenda, WAIT_QUEUE, type AgendaEntry, type AgendaResult } from './agenda.ts'
import {
  createWaitIndex,
  foldWaitIndex,
  prune,
  staleBefore,
  type WaitIndex,
  type WaitingJob,
  type Taken,
} from './wait-index.ts'
import { createEventLog, type SentEvent, type StoredWaitEvent } from './log.ts'
import { createToken } from './token.ts'
import { logOf, streamOf, type Part, type WaitRecord } from './record.ts'

/** States of a job that has ended and therefore does not wait. */
const ENDED: ReadonlySet<JobState> = new Set(['completed', 'failed', 'cancelled'])

/** How many jobs are woken or looked up at once. */
const AT_ONCE = 100
/** After this many events without a match, a wait records its position, so that no later attempt reads them again. */
const RECORD_AFTER = 1000
/** The number of waits whose position in the log a process remembers. */
const KNOWN = 10_000

type EventPart = Extract<Part, { event: string }>
/** An event that matches, and its position for the wait that takes it. */
export type Found = StoredWaitEvent & { taken: Taken }

/**
 * Connects waits and events by name and key. One stream holds the waits, and another stream, which is not a run, holds the events. A sender
 * first stores the event and then reads the waits. A wait first registers and then reads the events. At least one of them therefore finds
 * the other.
 */
export function createStreams(kernel: PluginKernel, keep: number) {
  const indexes = createProjection<WaitIndex>(() => kernel.port('events'), {
    reducer: 'wait@1',
    initial: createWaitIndex,
    apply: foldWaitIndex,
  })
  const log = createEventLog(kernel)
  const agenda = createAgenda(kernel, keep, expire)
  /** The `seq` up to which this process has searched the log for a wait, and the last such `seq` that it recorded, by wait. */
  const searched = new Map<string, { seq: number; recorded: number }>()

  /** Appends an event without a key, because keys outlive trimmed events. The wait index recognizes repeated events. */
  async function write(stream: string, event: EventDraft, status: RunOutcome | 'running'): Promise<number> {
    const run = { status, name: stream, queue: WAIT_QUEUE }
    return (await kernel.emit(stream, [event], { reopen: true, run })).head
  }

  /** Returns the wait index of a stream. Most streams do not exist, because nothing waits for most events. */
  async function findIndex(stream: string): Promise<Readonly<WaitIndex> | undefined> {
    if ((await kernel.port('events').head(stream)) === 0) return undefined
    return (await indexes.current(stream)).state
  }

  function remember(waitId: string, seq: number, recorded: number): void {
    searched.delete(waitId)
    searched.set(waitId, { seq, recorded })
    if (searched.size > KNOWN) searched.delete(searched.keys().next().value!)
  }

  return {
    waitIndex: async (stream: string): Promise<Readonly<WaitIndex>> => (await indexes.current(stream)).state,
    /** Processes a stream of expired entries. */
    work: agenda.work,

    /** Registers a wait. @param again true if it may be registered already */
    async register({ name, parts, since, until }: WaitRecord, wait: WaitingJob, again: boolean): Promise<void> {
      const registered = ofEvents(parts).map(async ({ event, key, once, hashed, get, page }, index) => {
        const stream = streamOf(event, key)
        const waitId = idOf(wait.jobId, name, index)
        if (again && Object.hasOwn((await indexes.current(stream)).state.open, waitId)) return
        const shown = {
          ...(hashed && { hashed }),
          ...(get && { get }),
          ...(page && { page }),
          ...(until !== undefined && { until }),
        }
        const data = { waitId, since, ...(once && { once, ...shown }), ...wait }
        const seq = await write(stream, { type: 'wait.registered', data }, 'running')
        if (seq === 1 && !once) await agenda.enter({ stream })
      })
      await Promise.all(registered)
    },

    /** Creates a token for a registered wait. Its earlier tokens keep working. */
    async issueToken(event: string, key: string): Promise<string> {
      const { token, hash } = createToken(key)
      await kernel.emit(streamOf(event, key), [{ type: 'wait.token', data: { hash } }])
      return token
    },

    /** Returns the first event that matches a part of a wait. */
    async find(
      { name, parts, since, until = Infinity }: WaitRecord,
      part: EventPart,
      jobId: string,
      matches: (payload: unknown) => boolean,
    ): Promise<Found | undefined> {
      const stream = streamOf(part.event, part.key)
      const { events, open } = (await indexes.current(stream)).state
      const early = events.find(
        ({ seq, at, payload }) => seq > (part.after ?? 0) && at >= since && at <= until && matches(payload),
      )
      if (early) return { ...early, taken: { seq: early.seq } }
      const waitId = idOf(jobId, name, ofEvents(parts).indexOf(part))
      const before = searched.get(waitId)
      const search = { since, until, behind: part.behind, after: before?.seq ?? open[waitId]?.passed, matches }
      const { event, from, passed } = await log.find(logOf(part.event, part.key), search)
      const recorded = before?.recorded ?? from
      const mustRecord = passed.seq - recorded >= RECORD_AFTER
      if (mustRecord) await write(stream, { type: 'wait.passed', data: { waitId, ...passed } }, 'running')
      remember(waitId, passed.seq, mustRecord ? passed.seq : recorded)
      return event && { ...event, taken: { behind: { seq: event.seq, at: event.at } } }
    },

    /**
     * Removes a wait from its streams. A stream with `once` has no other wait, so it ends.
     *
     * @param taken the event that each part has taken
     */
    async close(
      { name, parts }: Pick<WaitRecord, 'name' | 'parts'>,
      jobId: string,
      taken: readonly (Taken | undefined)[] = [],
    ): Promise<void> {
      const closed = ofEvents(parts).map(async (part, index) => {
        const { event, key, once = false } = part
        const stream = streamOf(event, key)
        const waitId = idOf(jobId, name, index)
        const { seq, behind } = taken[parts.indexOf(part)] ?? {}
        searched.delete(waitId)
        const data = { waitId, taken: seq, behind }
        await write(stream, { type: 'wait.closed', data }, once ? 'completed' : 'running')
        if (once) indexes.forget(stream)
        else await agenda.enter({ stream })
      })
      await Promise.all(closed)
    },

    /**
     * Stores an event and wakes the jobs that wait for its name and key. Each job checks for itself whether it matches.
     *
     * @param again true if it may be stored already
     */
    async store(name: string, key: string, event: SentEvent, again: boolean): Promise<void> {
      const stream = streamOf(name, key)
      // An event whose id is its key may belong to a wait with `once`. It is then stored in the stream of that wait, and
      // ends with it. Any other event is stored in the log first, so that events keep the order of their jobs.
      const before = event.id === key ? await findIndex(stream) : undefined
      if (before && Object.values(before.open).some(({ once }) => once)) {
        await write(stream, { type: 'wait.event', data: event }, 'running')
        return wakeAll(stream, (await indexes.current(stream)).state)
      }
      const events = logOf(name, key)
      const seq = again && (await log.has(events, event.id)) ? 0 : await log.append(events, event)
      const entered = again || seq === 1 ? agenda.enter({ log: events, stream }, again) : undefined
      const woken = findIndex(stream).then((index) => index && wakeAll(stream, index))
      await Promise.all([entered, woken])
    },

    /** Checks a stream of waits for expired content. Called by jobs of earlier releases. */
    async tidy(stream: string): Promise<void> {
      const { again } = await expire({ stream })
      if (again) await agenda.enter({ stream })
    },
  }

  async function wakeAll(stream: string, { open }: Readonly<WaitIndex>): Promise<void> {
    await each(Object.entries(open), ([waitId, { queue, jobId }]) => wake(stream, waitId, queue, jobId))
  }

  /** Wakes a job. If the job has ended and its process died before it closed the wait, closes the wait. */
  async function wake(stream: string, waitId: string, queue: string, jobId: string): Promise<void> {
    if (!(await kernel.port('queue').promote(queue, jobId))) await closeEnded(stream, waitId, queue, jobId)
  }

  async function closeEnded(stream: string, waitId: string, queue: string, jobId: string): Promise<void> {
    const job = await kernel.port('queue').getJob(queue, jobId)
    if (job && !ENDED.has(job.state)) return
    await write(stream, { type: 'wait.closed', data: { waitId } }, 'running')
  }

  /** Removes expired content. Returns when to check a stream that is in use again. */
  async function expire({ stream, log: events }: AgendaEntry): Promise<AgendaResult> {
    const before = stream === undefined ? undefined : await expireWaits(stream)
    if (events === undefined) return before === undefined ? {} : { again: keep }
    const left = await log.trim(events, before ?? kernel.clock.now() - keep)
    if (!left) return {}
    return left.old ? { forget: { stream: events, seq: left.head } } : { again: agenda.soon }
  }

  /**
   * Removes expired content from a stream of waits, and ends the stream if nothing is left.
   *
   * @returns the moment from which on its waits count events; `undefined` if the stream has ended
   */
  async function expireWaits(stream: string): Promise<number | undefined> {
    const found = await findIndex(stream)
    if (!found) return undefined
    await each(Object.entries(found.open), ([id, { queue, jobId }]) => closeEnded(stream, id, queue, jobId))
    const { state: index, seq } = await indexes.current(stream)
    const before = staleBefore(index, kernel.clock.now(), keep)
    const { events, taken } = prune(index, before)
    if (events.length === 0 && [index.open, taken].every((some) => Object.keys(some).length === 0)) {
      const ended = { type: 'wait.tidied', data: { before } }
      const result = await kernel.emit(stream, [ended], { expectedSeq: seq, run: { status: 'completed' } })
      indexes.forget(stream)
      return result.ok || result.reason === 'ended' ? undefined : before
    }
    const cut = (events[0]?.seq ?? seq + 1) - 1
    if (cut > 0) await trim(stream, cut, { open: index.open, taken, events: [] })
    return before
  }

  /** Trims a stream up to a `seq`. The snapshot keeps the open waits below it. */
  async function trim(stream: string, seq: number, state: WaitIndex): Promise<void> {
    await kernel.port('events').snapshots.put(stream, { reducer: 'wait@1', seq, state })
    await kernel.port('events').trim(stream, seq)
    indexes.forget(stream)
  }
}
export type WaitStreams = ReturnType<typeof createStreams>

async function each<T>(all: readonly T[], work: (one: T) => Promise<unknown>): Promise<void> {
  for (let from = 0; from < all.length; from += AT_ONCE) await Promise.all(all.slice(from, from + AT_ONCE).map(work))
}

function ofEvents(parts: readonly Part[]): EventPart[] {
  return parts.filter((part) => 'event' in part)
}

function idOf(jobId: string, name: string, index: number): string {
  return `${jobId}/${name}/${index}`
}
