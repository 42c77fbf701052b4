import type { JobRecord } from '../../kernel/index.ts'
import type { JournalLine } from '../_shared/folder/disk.ts'
import type { Journal } from '../_shared/folder/journal.ts'
import { isJson } from '../_shared/json.ts'
import type { FileStorage } from '../_shared/folder/storage.ts'
import type { QueueJournal } from '../_shared/local-queue/journal.ts'
import { fileName, queueName } from './names.ts'

/*
 * Lines of a queue's journal, after the header:
 *
 *   { "job": "<id>", … }                      a job
 *   { "job": "<id>", …, "unset": ["error"] }  what has changed about it
 *   { "job": "<id>", "removed": true }        it has been forgotten
 *   { "paused": true | false }                the queue
 */
const FORMAT = { journal: 'nuxt-queue/jobs', version: 1 }
const FOLDER = 'queues'
/** Every job has the same members in the same order, which is what makes many of them cheap. */
const BLANK: JobRecord = {
  id: '',
  queue: '',
  name: '',
  data: undefined,
  runId: '',
  options: {},
  priority: 0,
  createdAt: 0,
  runAt: 0,
  flow: undefined,
  state: 'waiting',
  attemptsMade: 0,
  claims: 0,
  crashes: 0,
  round: 0,
  startedAt: undefined,
  finishedAt: undefined,
  progress: undefined,
  result: undefined,
  error: undefined,
}
/** What a retry by hand takes away from a job. */
const CLEARED: ReadonlySet<keyof JobRecord> = new Set(['error', 'finishedAt', 'progress'])

/** What a process has left of a queue. */
interface LoadedQueue {
  queue: string
  jobs: JobRecord[]
  paused: boolean
}

export interface QueueJournals extends QueueJournal {
  load(): LoadedQueue[]
  synced(queue: string): Promise<void> | undefined
  close(): Promise<void>
}

/** A journal a queue, opened with the first change. */
export function createJournals(storage: FileStorage, jobsOf: (queue: string) => JobRecord[]): QueueJournals {
  const journals = new Map<string, Journal>()
  const paused = new Set<string>()

  function* snapshot(queue: string): Generator<JournalLine> {
    if (paused.has(queue)) yield { paused: true }
    for (const job of jobsOf(queue)) yield lineOf(job)
  }

  function open(queue: string, name: string, apply: (line: Record<string, unknown>) => void): Journal {
    const journal = storage.open(name, { header: { ...FORMAT, queue }, snapshot: () => snapshot(queue) }, apply)
    journals.set(queue, journal)
    return journal
  }

  function journalOf(queue: string): Journal {
    return journals.get(queue) ?? open(queue, `${FOLDER}/${fileName(queue)}`, () => {})
  }

  function load(name: string): LoadedQueue {
    const jobs = new Map<string, JobRecord>()
    const queue = queueName(name.slice(FOLDER.length + 1), storage.header(name))
    const journal = open(queue, name, (line) => {
      if (typeof line.paused === 'boolean') void (line.paused ? paused.add(queue) : paused.delete(queue))
      if (typeof line.job !== 'string') return
      if (line.removed === true) jobs.delete(line.job)
      else jobs.set(line.job, merged(jobs.get(line.job), queue, line))
    })
    for (const job of jobs.values()) {
      if (job.state !== 'active') continue
      // Whoever had it is no more.
      Object.assign(job, { state: 'waiting', crashes: job.crashes + 1 })
      journal.append({ job: job.id, state: job.state, crashes: job.crashes }, 1)
    }
    return { queue, jobs: [...jobs.values()], paused: paused.has(queue) }
  }

  return {
    load: () => storage.list(FOLDER).map(load),
    added: (queue, job) => journalOf(queue).append(lineOf(job)),
    changed: (queue, job, fields) => journalOf(queue).append(changeOf(job, fields), 1),
    claimed(queue, job) {
      const journal = journalOf(queue)
      journal.append(changeOf(job, ['state', 'claims', 'startedAt']), 1)
      return journal.written()
    },
    removed: (queue, id) => journalOf(queue).append({ job: id, removed: true }, 2),
    paused(queue, value) {
      if (value) paused.add(queue)
      else paused.delete(queue)
      journalOf(queue).append({ paused: value }, 1)
    },
    synced: (queue) => journals.get(queue)?.synced(),
    close: async () => void (await Promise.all([...journals.values()].map((journal) => journal.close()))),
  }
}

/** All that is known about a job. The queue is told by the journal. */
function lineOf(job: Readonly<JobRecord>): JournalLine {
  const { attemptsMade, claims, crashes, round } = job
  const counters = {
    attemptsMade: attemptsMade || undefined,
    claims: claims || undefined,
    crashes: crashes || undefined,
    round: round || undefined,
  }
  const line = { job: job.id, ...job, id: undefined, queue: undefined, ...counters }
  // Most are plain, and written at a stroke.
  const plain = isJson(job.data) && isJson(job.options) && job.error === undefined && job.finishedAt === undefined
  return plain ? JSON.stringify(line) : line
}

function changeOf(job: Readonly<JobRecord>, fields: readonly (keyof JobRecord)[]): JournalLine {
  const line: Record<string, unknown> = { job: job.id }
  for (const field of fields) line[field] = job[field]
  const unset = fields.filter((field) => job[field] === undefined && CLEARED.has(field))
  return unset.length === 0 ? line : { ...line, unset }
}

function merged(known: JobRecord | undefined, queue: string, line: Record<string, unknown>): JobRecord {
  const { job: id, unset, ...fields } = line
  const record = known ?? ({ ...BLANK, id, queue } as JobRecord)
  Object.assign(record, fields)
  for (const field of (unset as (keyof JobRecord)[] | undefined) ?? []) Object.assign(record, { [field]: undefined })
  return record
}
