import type { JobRecord, QueueLimits, RunOutcome } from '../../../../kernel/index.ts'
import type { JournalLine } from '../../lib/folder/disk.ts'
import type { Journal } from '../../lib/folder/journal.ts'
import { isJson } from '../../../lib/json.ts'
import type { FileStorage } from '../../lib/folder/storage.ts'
import type { ForgottenJob } from '../../lib/local-queue/forgotten.ts'
import type { LeftQueue, QueueJournal } from '../../lib/local-queue/journal.ts'
import type { LocalQueues } from '../../lib/local-queue/provider.ts'
import { fileName, queueName } from './names.ts'

/*
 * The lines of a queue's journal, after the header:
 *
 *   { "job": "<id>", … }                      a job was added
 *   { "job": "<id>", …, "unset": ["error"] }  members of the job changed, or were removed
 *   { "job": "<id>", "removed": true }        the job was removed
 *   { "job": "<id>", "removed": true, "run": …, "outcome": …, "until": … }  the same, and its id is remembered
 *   { "paused": true | false }                the queue was paused or resumed
 *   { "limits": { "concurrency": 5, … } }     the limits of the queue changed
 */
const FORMAT = { journal: 'nuxt-queue/jobs', version: 1 }
const FOLDER = 'queues'
/** All jobs have the same members in the same order, so that V8 uses one hidden class for them. */
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
  tags: undefined,
  headers: undefined,
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
/** The members that a manual retry removes from a job. It may also replace data by none. */
const CLEARED: ReadonlySet<keyof JobRecord> = new Set(['error', 'finishedAt', 'progress', 'data'])

export interface QueueJournals extends QueueJournal {
  load(): LeftQueue[]
  synced(queue: string): Promise<void> | undefined
  close(): Promise<void>
}

/** Creates the journals: one for each queue, opened with its first change. */
export function createJournals(
  storage: FileStorage,
  queues: () => Pick<LocalQueues, 'jobsOf' | 'forgottenOf'>,
): QueueJournals {
  const journals = new Map<string, Journal>()
  const paused = new Set<string>()
  const limits = new Map<string, QueueLimits>()

  function* snapshot(queue: string): Generator<JournalLine> {
    if (paused.has(queue)) yield { paused: true }
    if (limits.has(queue)) yield { limits: limits.get(queue) }
    const { jobsOf, forgottenOf } = queues()
    for (const job of jobsOf(queue)) yield lineOf(job)
    for (const job of forgottenOf(queue)) yield removalOf(job.id, job)
  }

  function open(queue: string, name: string, apply: (line: Record<string, unknown>) => void): Journal {
    const journal = storage.open(name, { header: { ...FORMAT, queue }, snapshot: () => snapshot(queue) }, apply)
    journals.set(queue, journal)
    return journal
  }

  function journalOf(queue: string): Journal {
    return journals.get(queue) ?? open(queue, `${FOLDER}/${fileName(queue)}`, () => {})
  }

  function load(name: string): LeftQueue {
    const jobs = new Map<string, JobRecord>()
    const forgotten = new Map<string, ForgottenJob>()
    const queue = queueName(name.slice(FOLDER.length + 1), storage.header(name))
    const journal = open(queue, name, (line) => {
      if (typeof line.paused === 'boolean') void (line.paused ? paused.add(queue) : paused.delete(queue))
      if (typeof line.limits === 'object') keepLimits(queue, line.limits as QueueLimits)
      if (typeof line.job !== 'string') return
      if (line.removed !== true) return void jobs.set(line.job, merged(jobs.get(line.job), queue, line))
      jobs.delete(line.job)
      const remembered = forgottenBy(queue, line)
      if (remembered) forgotten.set(line.job, remembered)
      else forgotten.delete(line.job)
    })
    for (const job of jobs.values()) {
      if (job.state !== 'active') continue
      // The process that ran the job is dead.
      Object.assign(job, { state: 'waiting', crashes: job.crashes + 1 })
      journal.append({ job: job.id, state: job.state, crashes: job.crashes }, 1)
    }
    const left = { jobs: [...jobs.values()], forgotten: [...forgotten.values()] }
    return { queue, ...left, paused: paused.has(queue), limits: limits.get(queue) }
  }

  function keepLimits(queue: string, value: QueueLimits): void {
    if (Object.keys(value).length > 0) limits.set(queue, value)
    else limits.delete(queue)
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
    removed: (queue, id, remembered) => journalOf(queue).append(removalOf(id, remembered), remembered ? 1 : 2),
    paused(queue, value) {
      if (value) paused.add(queue)
      else paused.delete(queue)
      journalOf(queue).append({ paused: value }, 1)
    },
    limited(queue, value) {
      keepLimits(queue, value)
      journalOf(queue).append({ limits: value }, 1)
    },
    synced: (queue) => journals.get(queue)?.synced(),
    close: async () => void (await Promise.all([...journals.values()].map((journal) => journal.close()))),
  }
}

/** Returns the line of a whole job. It omits the queue, which the header contains. */
function lineOf(job: Readonly<JobRecord>): JournalLine {
  const { attemptsMade, claims, crashes, round } = job
  const counters = {
    attemptsMade: attemptsMade || undefined,
    claims: claims || undefined,
    crashes: crashes || undefined,
    round: round || undefined,
  }
  const line = { job: job.id, ...job, id: undefined, queue: undefined, ...counters }
  // Most jobs contain only JSON values, which `JSON.stringify` encodes fastest.
  const plain = isJson(job.data) && isJson(job.options) && job.error === undefined && job.finishedAt === undefined
  return plain ? JSON.stringify(line) : line
}

function removalOf(job: string, remembered?: ForgottenJob): JournalLine {
  if (!remembered) return { job, removed: true }
  const { runId, outcome, until } = remembered
  return { job, removed: true, run: runId, outcome, until }
}

function forgottenBy(queue: string, { job, run, outcome, until }: Record<string, unknown>): ForgottenJob | undefined {
  if (typeof run !== 'string' || typeof until !== 'number') return undefined
  return { queue, id: job as string, runId: run, outcome: outcome as RunOutcome, until }
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
