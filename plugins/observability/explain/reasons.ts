import type { JobState, RunInfo, RunOutcome, SerializedError } from '../../../kernel/index.ts'
import type { Part, WaitRecord } from '../../flow/lib/wait-record.ts'

/** The facts of each reason. Times are milliseconds since the epoch. */
interface Facts {
  /** No queue holds the job. */
  unknown: object
  /** The job has ended. */
  ended: { outcome: RunOutcome; at?: number; error?: SerializedError; reason?: string }
  /** A worker runs the job. `crashes`: how many workers crashed while they ran it. */
  active: { since: number; attempt: number; attempts: number; crashes: number }
  /** The run of the job has ended, so the job will not run. */
  'run-ended': { runId: string; status: RunInfo['status'] }
  /** The queue is paused. */
  'queue-paused': { queue: string }
  /** The jobs with a key are paused in the queue. `since`: when they were paused. */
  'key-paused': { queue: string; key: string; since: number }
  /** No worker of this process handles the job, and no other running process is known to have one. */
  'no-worker': { queue: string; name: string }
  /** The worker is registered in this process but does not consume, and no other running process is known to have it. */
  'not-started': { worker: string }
  /** The job was enqueued to run later. */
  delayed: { until: number }
  /** An attempt failed. */
  backoff: { until: number; attempt: number; attempts: number; error: SerializedError }
  /** The job waits. `until`: when the wait times out. `looksAgainAt`: when the job checks the wait at the latest. */
  awaiting: { name: string; mode: WaitRecord['mode']; parts: readonly Part[]; until?: number; looksAgainAt: number }
  /** The job has waited longer than its option `expiresIn`, so it will fail and not run. `since`: when it expired. */
  expired: { since: number; expiresIn: number }
  /** The job waits until no more jobs with its key arrive. */
  debounced: { until: number; key: string }
  /** Other jobs with the same key are running. `ahead`: how many waiting jobs come first. */
  'concurrency-key': { key: string; running: string[]; ahead: number; looksAgainAt: number }
  /** A rate limit of the worker delays the job. */
  'rate-limit': { until: number; key?: string }
  /** An entry of the option `limits` of the worker is reached. The job starts as soon as it allows. */
  'worker-limit': { entry: number; key?: string; looksAgainAt: number }
  /** Another job of the worker, whose option `singleton` is set, runs in some process. The job starts as soon as that one has ended. */
  singleton: { worker: string; looksAgainAt: number }
  /** The run of the job is pinned to a version of its flow, and an instance with another version has claimed the job. */
  pinned: { flow: string; version: string; looksAgainAt: number }
  /** The handler or a plugin deferred the job until then. */
  deferred: { until: number }
  /** The rate limit of a worker holds the whole queue. */
  'queue-held': { until: number }
  /** As many jobs of the queue run in all processes as its limit allows, which `setLimits` has set at run time. */
  'queue-concurrency': { running: number; concurrency: number }
  /** `setLimits` has limited how many jobs of the queue start in a period of milliseconds, and nothing else blocks the job. */
  'queue-rate': { limit: number; period: number }
  /**
   * Other jobs come first. `more`: there may be more jobs than were counted. `turn`: the turn of a job with a fair key; 1 is the turn in
   * progress.
   */
  behind: { jobs: number; more: boolean; turn?: number }
  /** Handlers in this process still run although their attempts have ended. `jobs`: the ids of their jobs. */
  'stuck-handlers': { handlers: number; jobs: string[]; since: number }
  /** This process has reached its concurrency. */
  busy: { running: number; concurrency: number }
  /** Nothing blocks the job. It is next. */
  due: object
}

export type ReasonCode = keyof Facts

/** Why a job does not run, or how it ended: a code, its facts, and a sentence for people. */
export type Reason = { [Code in ReasonCode]: { code: Code; sentence: string } & Facts[Code] }[ReasonCode]

type Sentences = { [Code in ReasonCode]: (facts: Facts[Code]) => string }

const SENTENCES: Sentences = {
  unknown: () => 'No queue holds it. It was never enqueued there, was removed, or has expired.',
  ended: ({ outcome, at, error, reason }) =>
    `It ended as ${outcome}${at === undefined ? '' : ` at ${date(at)}`}${because(error?.message ?? reason)}.`,
  active: ({ since, attempt, attempts, crashes }) => {
    const crashed = crashes === 0 ? '' : `, after ${count(crashes, 'crash', 'crashes')}`
    return `It has been running since ${date(since)}, in attempt ${attempt} of ${attempts}${crashed}.`
  },
  'run-ended': ({ runId, status }) => `Its run ${runId} is ${status}, so the job will not run.`,
  'queue-paused': ({ queue }) => `Queue "${queue}" is paused. Call kernel.port('queue').resume('${queue}').`,
  'key-paused': ({ queue, key, since }) =>
    `The jobs with key "${key}" of queue "${queue}" have been paused since ${date(since)}. Call kernel.queue('${queue}').resume({ key }).`,
  'no-worker': ({ queue, name }) =>
    `No worker of this process handles "${name}" on queue "${queue}", and no other running process is known to have one.`,
  'not-started': ({ worker }) =>
    `Worker "${worker}" does not consume in this process, because kernel.start() was not called. No other running process is known to have it.`,
  delayed: ({ until }) => `It was enqueued to run at ${date(until)}.`,
  backoff: ({ until, attempt, attempts, error }) =>
    `Attempt ${attempt} of ${attempts} failed${because(error.message)}. The next one is at ${date(until)}.`,
  awaiting: ({ name, mode, parts, until }) => {
    const list = parts.map(describePart).join(mode === 'all' ? ' and ' : ' or ')
    return `It waits ("${name}") for ${list}${until === undefined ? '' : `, until ${date(until)}`}.`
  },
  expired: ({ since, expiresIn }) =>
    `It waited longer than its "expiresIn" of ${expiresIn} ms, which ended at ${date(since)}. It will not run.`,
  debounced: ({ until, key }) =>
    `It waits until no more jobs with key "${key}" arrive, and checks again at ${date(until)}.`,
  'concurrency-key': ({ key, running, ahead }) =>
    `Concurrency key "${key}" is in use: ${count(running.length, 'running job')}, and ${ahead} waiting before it.`,
  'rate-limit': ({ until, key }) =>
    `The rate limit of its worker${key === undefined ? '' : ` for key "${key}"`} delays it until ${date(until)}.`,
  'worker-limit': ({ entry, key }) =>
    `Entry ${entry} of the limits of its worker is reached${key === undefined ? '' : ` for key "${key}"`}.`,
  singleton: ({ worker }) => `Worker "${worker}" is a singleton, and another one of its jobs is running.`,
  pinned: ({ flow, version }) =>
    `Its run began with version "${version}" of flow "${flow}" and waits for an instance with that version.`,
  deferred: ({ until }) => `It was put back on its queue until ${date(until)}.`,
  'queue-held': ({ until }) => `A rate limit holds its queue until ${date(until)}.`,
  'queue-concurrency': ({ running, concurrency }) =>
    `Its queue has ${count(running, 'running job')}, and its limit for all processes is ${concurrency}. Change it with setLimits().`,
  'queue-rate': ({ limit, period }) =>
    `Its queue starts at most ${count(limit, 'job')} in ${period} ms in all processes. Change it with setLimits().`,
  behind: ({ jobs, more, turn }) => {
    const after = `It comes after ${more ? 'at least ' : ''}${count(jobs, 'other job')} of its queue`
    return `${after}${turn === undefined ? '' : `, in turn ${turn} of the fair keys`}.`
  },
  'stuck-handlers': ({ handlers, jobs, since }) =>
    `${count(handlers, 'handler')} of its queue still running after the end of the attempt, the first since ${date(since)}. The slots of these jobs stay occupied: ${jobs.join(', ')}.`,
  busy: ({ running, concurrency }) =>
    `Its queue has ${count(running, 'running job')}, and this process runs at most ${concurrency} at once.`,
  due: () => 'Nothing blocks it. It is the next job of its queue.',
}

/** Returns a reason with its sentence. */
export function reason<Code extends ReasonCode>(code: Code, facts: Facts[Code]): Reason {
  return { code, sentence: SENTENCES[code](facts), ...facts } as unknown as Reason
}

/** A job, and the reasons why it does not run or how it ended. */
export interface Explanation {
  queue?: string
  id: string
  name?: string
  runId?: string
  /** Absent if no queue holds the job. */
  state?: JobState
  /** At least one reason. The reason to resolve first comes first. */
  reasons: Reason[]
}

function describePart(part: Part): string {
  if ('at' in part) return date(part.at)
  if (part.type === 'webhook') return 'a request to its webhook'
  return `event "${part.event}"${part.key === '' ? '' : ` with key "${part.key}"`}`
}

function because(message: string | undefined): string {
  return message === undefined ? '' : `: ${message.replace(/\.$/, '')}`
}

function count(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`
}

function date(time: number): string {
  return new Date(time).toISOString()
}
