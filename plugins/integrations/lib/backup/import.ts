import { isDeepStrictEqual } from 'node:util'
import { QueueError, type JobRecord, type StoredEvent } from '../../../../kernel/index.ts'
import type { JobCopies, StreamEnd, StreamPart } from '../../../adapters/lib/store-copy.ts'
import { STORE_STREAM } from '../../../lib/store-mark.ts'
import { checksumOf, jobChecksum } from './checksum.ts'
import type { CopyableStore } from './export.ts'
import type { CopyCounts, CopyLine } from './lines.ts'

/** What an import has stored, and what it left as it was because the store had it already. */
export interface ImportReport extends CopyCounts {
  kept: { streams: number; jobs: number }
}

/** The maximum number of streams, events and jobs that one write contains. */
const PARTS = 200
const EVENTS = 400
const JOBS = 200
/** How many streams or jobs are compared at the same time. */
const AT_ONCE = 32

interface OpenStream {
  name: string
  /** The newest event that the store has. */
  head: number
  /** True if the store has other events, or more. The stream stays as it is. */
  kept: boolean
}

/** A store is empty if it has neither jobs nor runs, and no queue is paused. */
export async function isEmptyStore({ events, jobs }: CopyableStore): Promise<boolean> {
  for await (const names of events.streams()) if (names.some((name) => name !== STORE_STREAM)) return false
  return (await jobs.queues()).length === 0
}

/**
 * Writes the lines of an export to a store, and compares everything that it has written. No process may write to the store meanwhile.
 * Importing the same lines again continues where an earlier import ended.
 *
 * @throws QueueError `STORE_DIFFERS` if the store returns something else than was written
 */
export async function importStore(lines: AsyncIterable<CopyLine>, target: CopyableStore): Promise<ImportReport> {
  const fresh = await isEmptyStore(target)
  const report: ImportReport = { streams: 0, events: 0, jobs: 0, kept: { streams: 0, jobs: 0 } }
  let open: OpenStream | undefined
  let parts: StreamPart[] = []
  let checksums = new Map<string, string>()
  let jobs: JobRecord[] = []

  /** Streams come one after the other. */
  async function openStream(name: string, trimmed: number): Promise<OpenStream> {
    if (open?.name === name) return open
    const known = fresh ? undefined : await target.events.end(name)
    return (open = { name, head: known?.head ?? trimmed, kept: known !== undefined && known.trimmed !== trimmed })
  }

  /** Compares the events that the store has, and returns the others. */
  async function newEvents(stream: OpenStream, events: readonly StoredEvent[]): Promise<readonly StoredEvent[]> {
    const known = events.filter(({ seq }) => seq <= stream.head)
    if (known.length === 0) return events
    const stored = await target.events.events(stream.name, known[0]!.seq - 1, known.length)
    if (!isDeepStrictEqual(stored.map(bare), known.map(bare))) stream.kept = true
    return events.slice(known.length)
  }

  async function add(part: StreamPart): Promise<void> {
    const isFull = parts.length >= PARTS || parts.reduce((sum, { events }) => sum + events.length, 0) >= EVENTS
    const last = parts.at(-1)
    if (last?.stream === part.stream && !isFull) {
      const snapshots = [...(last.snapshots ?? []), ...(part.snapshots ?? [])]
      parts[parts.length - 1] = { ...last, ...part, events: [...last.events, ...part.events], snapshots }
      return
    }
    if (isFull || last?.stream === part.stream) await flushParts()
    parts.push(part)
  }

  async function addEvents(name: string, trimmed: number, events: readonly StoredEvent[]): Promise<void> {
    const stream = await openStream(name, trimmed)
    if (stream.kept) return
    const fresh = await newEvents(stream, events)
    if (stream.kept || fresh.length === 0) return
    await add({ stream: name, trimmed, events: fresh })
    stream.head = fresh.at(-1)!.seq
    report.events += fresh.length
  }

  async function endStream(end: StreamEnd, checksum: string): Promise<void> {
    const stream = await openStream(end.stream, end.trimmed)
    if (stream.kept || stream.head !== end.head) {
      report.kept.streams++
      return
    }
    await add({ stream: end.stream, trimmed: end.trimmed, events: [], end })
    checksums.set(end.stream, checksum)
    report.streams++
  }

  async function flushParts(): Promise<void> {
    if (parts.length === 0) return
    await target.events.write(parts)
    await eachAtOnce([...checksums], async ([stream, expected]) => {
      const stored = await checksumOf(target.events, stream)
      if (stored !== expected) throw differs(`stream "${stream}"`, expected, stored)
    })
    parts = []
    checksums = new Map()
  }

  async function flushJobs(): Promise<void> {
    const unknown = fresh ? jobs : await unknownOf(jobs)
    let kept = jobs.length - unknown.length
    if (unknown.length > 0) await target.jobs.write(unknown)
    const stored = await storedOf(target.jobs, unknown)
    for (const job of unknown) {
      const copy = stored.get(job)
      const [expected, found] = [jobChecksum(job), copy && jobChecksum(copy)]
      // The store remembers the id of a job that has ended and was removed.
      if (found === undefined && !fresh) kept++
      else if (found !== expected) throw differs(`job "${job.id}" of queue "${job.queue}"`, expected, found)
    }
    report.jobs += jobs.length - kept
    report.kept.jobs += kept
    jobs = []
  }

  async function unknownOf(some: readonly JobRecord[]): Promise<JobRecord[]> {
    const known = await storedOf(target.jobs, some)
    return some.filter((job) => !known.has(job))
  }

  for await (const line of lines) {
    if ('limited' in line) await target.jobs.setLimits(line.limited, line.limits)
    else if ('paused' in line) await target.jobs.pause(line.paused)
    else if ('events' in line) await addEvents(line.stream, line.trimmed, line.events)
    else if ('snapshot' in line) {
      const { stream, trimmed, snapshot } = line
      if (!(await openStream(stream, trimmed)).kept) await add({ stream, trimmed, events: [], snapshots: [snapshot] })
    } else if ('end' in line) await endStream(line.end, line.checksum)
    else if ('job' in line) {
      // Workers may run a job as soon as it is stored, so its history comes first.
      if (parts.length > 0) await flushParts()
      if (jobs.push(line.job) >= JOBS) await flushJobs()
    } else if ('remembered' in line) {
      await flushJobs()
      await target.jobs.remember(line.remembered)
    }
  }
  await flushParts()
  await flushJobs()
  return report
}

/** Returns, for each of these jobs that a store has, the job that it has. */
export async function storedOf(
  target: Pick<JobCopies, 'getMany'>,
  jobs: readonly JobRecord[],
): Promise<Map<JobRecord, JobRecord>> {
  const found = new Map<JobRecord, JobRecord>()
  for (const [queue, some] of Map.groupBy(jobs, (job) => job.queue)) {
    const ids = some.map(({ id }) => id)
    const byId = new Map((await target.getMany(queue, ids)).map((job) => [job.id, job]))
    for (const job of some) if (byId.has(job.id)) found.set(job, byId.get(job.id)!)
  }
  return found
}

export async function eachAtOnce<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  for (let from = 0; from < items.length; from += AT_ONCE)
    await Promise.all(items.slice(from, from + AT_ONCE).map(work))
}

/** An event without the members that are undefined, which stores may leave out. */
function bare(event: StoredEvent): object {
  return Object.fromEntries(Object.entries(event).filter(([, value]) => value !== undefined))
}

/** The error for a store that returns something else than was written to it. */
export function differs(what: string, expected: string, got: string | undefined): QueueError {
  const message = `The store returns another ${what} than was written: expected the checksum ${expected}; got ${got ?? 'nothing'}.`
  return new QueueError(
    'STORE_DIFFERS',
    `${message} Check that no other process uses the store, and import again with --merge.`,
  )
}
