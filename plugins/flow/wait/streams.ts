import type { EventDraft, JobState, PluginKernel, RunOutcome } from '../../../kernel/index.ts'
import { createProjection } from '../../lib/projection.ts'
import { createAgenda, WAIT_QUEUE, type AgendaEntry, type AgendaResult } from './agenda.ts'
import { createBook, foldBook, prune, staleBefore, type Book, type JobAddress, type Taken } from './book.ts'
import { createEventLog, type Filed } from './log.ts'
import { createToken } from './token.ts'
import { logOf, streamOf, type Part, type WaitRecord } from './record.ts'

/** States in which a job waits for nothing any more. */
const ENDED: ReadonlySet<JobState> = new Set(['completed', 'failed', 'cancelled'])

/** How many jobs are woken, or asked for, at once. */
const AT_ONCE = 100
/** A wait that has passed over so many events says so, or whoever goes on with it would read them again. */
const MANY = 1000
/** Of how many waits a process knows up to where it has looked. */
const KNOWN = 10_000

type EventPart = Extract<Part, { event: string }>
/** An event that is meant, and what a wait takes with it. */
export type Found = Filed & { taken: Taken }

/**
 * Where waits and events meet, by name and key. Waits are on record in one stream and events in another, which is no
 * run. Whoever files an event looks for waits then, and whoever waits looks for events then: one of them finds the other.
 */
export function createStreams(kernel: PluginKernel, keep: number) {
  const books = createProjection<Book>(() => kernel.port('events'), {
    reducer: 'wait@1',
    initial: createBook,
    apply: foldBook,
  })
  const log = createEventLog(kernel)
  const agenda = createAgenda(kernel, keep, lookAgain)
  /** By wait, up to where of the log this process has looked, and what of that is on record. */
  const looked = new Map<string, { seq: number; noted: number }>()

  /** Its events have no keys, which would outlive what is trimmed: the book knows those that come twice. */
  async function write(stream: string, event: EventDraft, status: RunOutcome | 'running'): Promise<number> {
    const run = { status, name: stream, queue: WAIT_QUEUE }
    return (await kernel.emit(stream, [event], { reopen: true, run })).head
  }

  /** Of most names and keys there is none. */
  async function bookOf(stream: string): Promise<Readonly<Book> | undefined> {
    if ((await kernel.port('events').head(stream)) === 0) return undefined
    return (await books.current(stream)).state
  }

  function remember(waitId: string, seq: number, noted: number): void {
    looked.delete(waitId)
    looked.set(waitId, { seq, noted })
    if (looked.size > KNOWN) looked.delete(looked.keys().next().value!)
  }

  return {
    book: async (stream: string): Promise<Readonly<Book>> => (await books.current(stream)).state,
    /** Goes through what is due. */
    work: agenda.work,

    /** @param again it may be registered already */
    async register({ name, parts, since, until }: WaitRecord, wait: JobAddress, again: boolean): Promise<void> {
      const registered = ofEvents(parts).map(async ({ event, key, once, hashed, get, page }, index) => {
        const stream = streamOf(event, key)
        const waitId = idOf(wait.jobId, name, index)
        if (again && Object.hasOwn((await books.current(stream)).state.open, waitId)) return
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

    /** A token for a wait that is registered; those it had before keep working. */
    async issueToken(event: string, key: string): Promise<string> {
      const { token, hash } = createToken(key)
      await kernel.emit(streamOf(event, key), [{ type: 'wait.token', data: { hash } }])
      return token
    },

    /** The first event that a part of a wait has come to. */
    async find(
      { name, parts, since, until = Infinity }: WaitRecord,
      part: EventPart,
      jobId: string,
      meant: (payload: unknown) => boolean,
    ): Promise<Found | undefined> {
      const stream = streamOf(part.event, part.key)
      const { events, open } = (await books.current(stream)).state
      const early = events.find(
        ({ seq, at, payload }) => seq > (part.after ?? 0) && at >= since && at <= until && meant(payload),
      )
      if (early) return { ...early, taken: { seq: early.seq } }
      const waitId = idOf(jobId, name, ofEvents(parts).indexOf(part))
      const before = looked.get(waitId)
      const sought = { since, until, behind: part.behind, after: before?.seq ?? open[waitId]?.passed, meant }
      const { event, from, passed } = await log.find(logOf(part.event, part.key), sought)
      const noted = before?.noted ?? from
      const many = passed.seq - noted >= MANY
      if (many) await write(stream, { type: 'wait.passed', data: { waitId, ...passed } }, 'running')
      remember(waitId, passed.seq, many ? passed.seq : noted)
      return event && { ...event, taken: { behind: { seq: event.seq, at: event.at } } }
    },

    /**
     * A stream that nobody else will use ends with its only wait.
     *
     * @param taken by part, the event it was over with
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
        looked.delete(waitId)
        const data = { waitId, taken: seq, behind }
        await write(stream, { type: 'wait.closed', data }, once ? 'completed' : 'running')
        if (once) books.forget(stream)
        else await agenda.enter({ stream })
      })
      await Promise.all(closed)
    },

    /**
     * Files an event and wakes whoever waits for it. They decide themselves whether it is the one.
     *
     * @param again it may have been filed already
     */
    async file(name: string, key: string, event: Pick<Filed, 'id' | 'payload'>, again: boolean): Promise<void> {
      const stream = streamOf(name, key)
      // An event that is the only one of its key may meet the only wait there will be, which takes it with it. Any other
      // is filed before anything else, so that events keep their order as far as their jobs do.
      const before = event.id === key ? await bookOf(stream) : undefined
      if (before && Object.values(before.open).some(({ once }) => once)) {
        await write(stream, { type: 'wait.event', data: event }, 'running')
        return wakeAll(stream, (await books.current(stream)).state)
      }
      const events = logOf(name, key)
      const seq = again && (await log.has(events, event.id)) ? 0 : await log.append(events, event)
      const entered = again || seq === 1 ? agenda.enter({ log: events, stream }, again) : undefined
      const woken = bookOf(stream).then((book) => book && wakeAll(stream, book))
      await Promise.all([entered, woken])
    },

    /** Looks after a stream of waits, as jobs of earlier releases ask for. */
    async tidy(stream: string): Promise<void> {
      const { again } = await lookAgain({ stream })
      if (again) await agenda.enter({ stream })
    },
  }

  async function wakeAll(stream: string, { open }: Readonly<Book>): Promise<void> {
    await each(Object.entries(open), ([waitId, { queue, jobId }]) => wake(stream, waitId, queue, jobId))
  }

  /** Whoever ended a job that waits may have died before its wait was closed, which is made good here. */
  async function wake(stream: string, waitId: string, queue: string, jobId: string): Promise<void> {
    if (!(await kernel.port('queue').promote(queue, jobId))) await closeEnded(stream, waitId, queue, jobId)
  }

  async function closeEnded(stream: string, waitId: string, queue: string, jobId: string): Promise<void> {
    const job = await kernel.port('queue').getJob(queue, jobId)
    if (job && !ENDED.has(job.state)) return
    await write(stream, { type: 'wait.closed', data: { waitId } }, 'running')
  }

  /** What is too old goes; what is in use is looked at again. */
  async function lookAgain({ stream, log: events }: AgendaEntry): Promise<AgendaResult> {
    const before = stream === undefined ? undefined : await tidyWaits(stream)
    if (events === undefined) return before === undefined ? {} : { again: keep }
    const left = await log.trim(events, before ?? kernel.clock.now() - keep)
    if (!left) return {}
    return left.old ? { forget: { stream: events, seq: left.head } } : { again: agenda.soon }
  }

  /**
   * Forgets what is too old, and ends the stream when nothing is left.
   *
   * @returns the moment from which on its waits count events, where it stays
   */
  async function tidyWaits(stream: string): Promise<number | undefined> {
    const found = await bookOf(stream)
    if (!found) return undefined
    await each(Object.entries(found.open), ([id, { queue, jobId }]) => closeEnded(stream, id, queue, jobId))
    const { state: book, seq } = await books.current(stream)
    const before = staleBefore(book, kernel.clock.now(), keep)
    const { events, taken } = prune(book, before)
    if (events.length === 0 && [book.open, taken].every((some) => Object.keys(some).length === 0)) {
      const ended = { type: 'wait.tidied', data: { before } }
      const result = await kernel.emit(stream, [ended], { expectedSeq: seq, run: { status: 'completed' } })
      books.forget(stream)
      return result.ok || result.reason === 'ended' ? undefined : before
    }
    const cut = (events[0]?.seq ?? seq + 1) - 1
    if (cut > 0) await trim(stream, cut, { open: book.open, taken, events: [] })
    return before
  }

  /** What lies below is in the snapshot, but for the events that are too old. */
  async function trim(stream: string, seq: number, state: Book): Promise<void> {
    await kernel.port('events').snapshots.put(stream, { reducer: 'wait@1', seq, state })
    await kernel.port('events').trim(stream, seq)
    books.forget(stream)
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
