import { randomUUID } from 'node:crypto'
import type { JobRecord, JobState } from '../../../../kernel/index.ts'
import { ENDED, type EventCopies, type JobCopies, type StreamEnd } from '../../../adapters/lib/store-copy.ts'
import { STORE_STREAM } from '../../../lib/store-mark.ts'
import { packageVersion } from '../../../lib/package-version.ts'
import { createStreamChecksum, EVENTS_PER_READ, sortSnapshots } from './checksum.ts'
import { FORMAT, type CopyCounts, type CopyLine } from './lines.ts'

/** A store: everything that jobs and runs consist of. */
export interface CopyableStore {
  events: EventCopies
  jobs: JobCopies
}

/** How many streams are read at the same time. */
const AT_ONCE = 32
/** The states of jobs that have not ended. Jobs move between them as time passes, so they are read together. */
export const OPEN: readonly JobState[] = ['active', 'waiting', 'delayed']

/** Yields the lines of an export of everything in a store. No process may write to the store meanwhile. */
export async function* exportStore({ events, jobs }: CopyableStore): AsyncGenerator<CopyLine, void> {
  const total: CopyCounts = { streams: 0, events: 0, jobs: 0 }
  yield { header: { format: FORMAT, id: randomUUID(), at: Date.now(), version: packageVersion() } }
  const queues = await jobs.queues()
  for (const queue of queues) {
    const limits = await jobs.getLimits(queue)
    if (Object.keys(limits).length > 0) yield { limited: queue, limits }
  }
  for (const queue of queues) if (await jobs.isPaused(queue)) yield { paused: queue }
  for await (const all of events.streams()) {
    // The mark belongs to this store.
    const names = all.filter((name) => name !== STORE_STREAM)
    for (let from = 0; from < names.length; from += AT_ONCE) {
      const some = names.slice(from, from + AT_ONCE)
      const begun = await Promise.all(some.map((name) => beginStream(events, name)))
      for (const one of begun) {
        if (!one) continue
        total.streams++
        total.events += one.end.head - one.end.trimmed
        yield* exportStream(events, one)
      }
    }
  }
  for (const queue of queues) {
    for (const states of [OPEN, ENDED]) {
      for await (const page of jobs.jobs(queue, states)) {
        total.jobs += page.length
        for (const job of page) yield { job: asStored(job) }
      }
    }
  }
  for await (const remembered of jobs.remembered()) if (remembered.length > 0) yield { remembered }
  yield { total }
}

type BegunStream = Awaited<ReturnType<typeof beginStream>>

/** Reads the first events of a stream. Most streams have no others. */
async function beginStream(events: EventCopies, stream: string) {
  const end = await events.end(stream)
  // The stream has expired since its name was read.
  if (!end) return undefined
  const [first, snapshots] = await Promise.all([
    events.events(stream, end.trimmed, EVENTS_PER_READ),
    events.snapshots(stream),
  ])
  return { end, first, snapshots: sortSnapshots(snapshots) }
}

async function* exportStream(events: EventCopies, begun: NonNullable<BegunStream>): AsyncGenerator<CopyLine, void> {
  const { end, first, snapshots } = begun
  const { stream, trimmed } = end
  const checksum = createStreamChecksum()
  for (let page = first; page.length > 0;) {
    const wanted = page.filter(({ seq }) => seq <= end.head)
    for (const event of wanted) checksum.event(event)
    yield { stream, trimmed, events: wanted }
    const after = page.at(-1)!.seq
    page = after < end.head ? await events.events(stream, after, EVENTS_PER_READ) : []
  }
  for (const snapshot of snapshots) {
    checksum.snapshot(snapshot)
    yield { stream, trimmed, snapshot }
  }
  yield { end: { ...end } satisfies StreamEnd, checksum: checksum.end(end) }
}

/** A job that ran when its process ended, or when it is copied, waits again. This does not count as a crash. */
export function asStored(job: JobRecord): JobRecord {
  return job.state === 'active' ? { ...job, state: 'waiting' } : job
}
