import { createHash } from 'node:crypto'
import type { EventDraft, JobState, Kernel, RunOutcome } from '../../kernel/index.ts'
import { createProjection } from '../_shared/projection.ts'
import { createBook, foldBook, prune, staleBefore, type Book, type JobAddress } from './book.ts'
import { streamOf, type Part, type WaitRecord } from './record.ts'

export const WAIT_QUEUE = '_wait'
export const TIDY = '_wait/tidy'

type Taken = readonly (number | undefined)[]

/** States in which a job waits for nothing any more. */
const ENDED: ReadonlySet<JobState> = new Set(['completed', 'failed', 'cancelled'])

/** How many jobs are woken at once. */
const AT_ONCE = 100

/** The streams in which waits and events meet, one for each name and key. */
export function createStreams(kernel: Kernel, keep: number) {
  const books = createProjection<Book>(() => kernel.port('events'), {
    reducer: 'wait@1',
    initial: createBook,
    apply: foldBook,
  })

  /** Its events have no keys, which would outlive what is trimmed: the book knows those that come twice. */
  async function write(stream: string, event: EventDraft, status: RunOutcome | 'running'): Promise<void> {
    const run = { status, name: stream, queue: WAIT_QUEUE }
    await kernel.emit(stream, [event], { reopen: true, run })
  }

  /** A job that looks after the stream once its events are too old to be asked for. */
  async function tidyLater(stream: string): Promise<void> {
    const moment = (Math.floor(kernel.clock.now() / keep) + 2) * keep
    const id = createHash('sha256').update(`${stream} ${moment}`).digest('hex').slice(0, 32)
    await kernel.enqueue(TIDY, { stream }, { id, delay: new Date(moment) })
  }

  return {
    book: async (stream: string): Promise<Readonly<Book>> => (await books.current(stream)).state,

    /** @param again it may be registered already */
    async register({ name, parts, since }: WaitRecord, wait: JobAddress, again: boolean): Promise<void> {
      const registered = ofEvents(parts).map(async ({ event, key, once }, index) => {
        const stream = streamOf(event, key)
        const waitId = idOf(wait.jobId, name, index)
        if (again && Object.hasOwn((await books.current(stream)).state.open, waitId)) return
        const data = { waitId, since, ...(once && { once }), ...wait }
        await write(stream, { type: 'wait.registered', data }, 'running')
      })
      await Promise.all(registered)
    },

    /**
     * A stream that nobody else will use ends with its only wait.
     *
     * @param taken by part, the `seq` of the event it was over with
     */
    async close({ name, parts }: Pick<WaitRecord, 'name' | 'parts'>, jobId: string, taken: Taken = []): Promise<void> {
      const closed = ofEvents(parts).map(async (part, index) => {
        const { event, key, once = false } = part
        const stream = streamOf(event, key)
        const data = { waitId: idOf(jobId, name, index), taken: taken[parts.indexOf(part)] }
        await write(stream, { type: 'wait.closed', data }, once ? 'completed' : 'running')
        if (once) books.forget(stream)
        else await tidyLater(stream)
      })
      await Promise.all(closed)
    },

    /** Files an event and wakes whoever waits for it. They decide themselves whether it is the one. */
    async file(name: string, key: string, { id, payload }: { id: string; payload: unknown }): Promise<void> {
      const stream = streamOf(name, key)
      await write(stream, { type: 'wait.event', data: { id, payload } }, 'running')
      const { state: book } = await books.current(stream)
      const waits = Object.entries(book.open)
      for (let index = 0; index < waits.length; index += AT_ONCE) {
        const woken = waits
          .slice(index, index + AT_ONCE)
          .map(([waitId, { queue, jobId }]) => wake(stream, waitId, queue, jobId))
        await Promise.all(woken)
      }
      // The only wait there will be takes the stream with it.
      if (!waits.some(([, { once }]) => once)) await tidyLater(stream)
    },

    /** Forgets what is too old, and ends the stream when nothing is left. */
    async tidy(stream: string): Promise<void> {
      const { state: book, seq } = await books.current(stream)
      const before = staleBefore(book, kernel.clock.now(), keep)
      const { events: left } = prune(book, before)
      const idle = left.length === 0 && Object.keys(book.open).length === 0
      if (idle) {
        const ended = { type: 'wait.tidied', data: { before } }
        await kernel.emit(stream, [ended], { expectedSeq: seq, run: { status: 'completed' } })
        books.forget(stream)
        return
      }
      const cut = (left[0]?.seq ?? seq + 1) - 1
      if (cut > 0) await trim(stream, cut, { ...prune(book, before), events: [] })
      if (left.length > 0) await tidyLater(stream)
    },
  }

  /** Whoever ended a job that waits may have died before its wait was closed, which is made good here. */
  async function wake(stream: string, waitId: string, queue: string, jobId: string): Promise<void> {
    if (await kernel.port('queue').promote(queue, jobId)) return
    const job = await kernel.port('queue').getJob(queue, jobId)
    if (job && !ENDED.has(job.state)) return
    await write(stream, { type: 'wait.closed', data: { waitId } }, 'running')
  }

  /** What lies below is in the snapshot, but for the events that are too old. */
  async function trim(stream: string, seq: number, state: Book): Promise<void> {
    await kernel.port('events').snapshots.put(stream, { reducer: 'wait@1', seq, state })
    await kernel.port('events').trim(stream, seq)
    books.forget(stream)
  }
}
export type WaitStreams = ReturnType<typeof createStreams>

function ofEvents(parts: readonly Part[]) {
  return parts.filter((part) => 'event' in part)
}

function idOf(jobId: string, name: string, index: number): string {
  return `${jobId}/${name}/${index}`
}
