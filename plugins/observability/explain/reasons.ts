import type { JobState, RunInfo, RunOutcome, SerializedError } from '../../../kernel/index.ts'
import type { Part, WaitRecord } from '../../flow/lib/wait-record.ts'

/** Moments are milliseconds since the epoch. */
interface Facts {
  /** No queue holds it. */
  unknown: object
  ended: { outcome: RunOutcome; at?: number; error?: SerializedError; reason?: string }
  /** A worker has it. `crashes`: how often it was handed out and never came back. */
  active: { since: number; attempt: number; attempts: number; crashes: number }
  /** The run it belongs to has ended, so that it will be turned away. */
  'run-ended': { runId: string; status: RunInfo['status'] }
  'queue-paused': { queue: string }
  /** No worker of this process handles it; another process may have one. */
  'no-worker': { queue: string; name: string }
  /** Its worker is registered here and does not consume. */
  'not-started': { worker: string }
  /** It was asked to run later. */
  delayed: { until: number }
  /** An attempt failed. */
  backoff: { until: number; attempt: number; attempts: number; error: SerializedError }
  /** It waits; `until` is when that times out, `looksAgainAt` when it looks by itself at the latest. */
  awaiting: { name: string; mode: WaitRecord['mode']; parts: readonly Part[]; until?: number; looksAgainAt: number }
  debounced: { until: number; key: string }
  /** Others of its key run. `ahead`: how many of them wait for longer. */
  'concurrency-key': { key: string; running: string[]; ahead: number; looksAgainAt: number }
  'rate-limit': { until: number; key?: string }
  /** Its handler, or a plugin, gave it back until then. */
  deferred: { until: number }
  /** The rate limit of a worker holds the whole queue. */
  'queue-held': { until: number }
  /** Others come first. `more`: there may be more than were counted. */
  behind: { jobs: number; more: boolean }
  /** Handlers of its queue run on in this process although their attempts have ended. `jobs`: whose they are. */
  'stuck-handlers': { handlers: number; jobs: string[]; since: number }
  /** As many run as this process takes at once. */
  busy: { running: number; concurrency: number }
  /** Nothing keeps it; it is next. */
  due: object
}

export type ReasonCode = keyof Facts

/** Why a job does not run, or what became of it: a code with its facts, and the same as a sentence. */
export type Reason = { [Code in ReasonCode]: { code: Code; sentence: string } & Facts[Code] }[ReasonCode]

type Sentences = { [Code in ReasonCode]: (facts: Facts[Code]) => string }

const SENTENCES: Sentences = {
  unknown: () => 'No queue holds it: it was never queued there, or was removed, or has expired.',
  ended: ({ outcome, at, error, reason }) =>
    `It has ended as ${outcome}${at === undefined ? '' : ` at ${date(at)}`}${because(error?.message ?? reason)}.`,
  active: ({ since, attempt, attempts, crashes }) => {
    const crashed = crashes === 0 ? '' : `, after ${count(crashes, 'worker')} that never came back with it`
    return `A worker has had it since ${date(since)}, in attempt ${attempt} of ${attempts}${crashed}.`
  },
  'run-ended': ({ runId, status }) => `Its run ${runId} is ${status}, so that it will be turned away.`,
  'queue-paused': ({ queue }) => `Queue "${queue}" is paused: kernel.port('queue').resume('${queue}').`,
  'no-worker': ({ queue, name }) => `No worker of this process handles "${name}" on queue "${queue}".`,
  'not-started': ({ worker }) => `Worker "${worker}" does not consume here: kernel.start() was not called.`,
  delayed: ({ until }) => `It was asked to run at ${date(until)}.`,
  backoff: ({ until, attempt, attempts, error }) =>
    `Attempt ${attempt} of ${attempts} failed${because(error.message)}. The next one is at ${date(until)}.`,
  awaiting: ({ name, mode, parts, until }) => {
    const list = parts.map(describePart).join(mode === 'all' ? ' and ' : ' or ')
    return `It waits ("${name}") for ${list}${until === undefined ? '' : `, until ${date(until)}`}.`
  },
  debounced: ({ until, key }) => `It waits for others of key "${key}" to stop coming, and looks at ${date(until)}.`,
  'concurrency-key': ({ key, running, ahead }) =>
    `${count(running.length, 'job')} of concurrency key "${key}" run, and ${ahead} are in line before it.`,
  'rate-limit': ({ until, key }) =>
    `The rate limit of its worker${key === undefined ? '' : ` for key "${key}"`} lets it go at ${date(until)}.`,
  deferred: ({ until }) => `It was given back to its queue until ${date(until)}.`,
  'queue-held': ({ until }) => `A rate limit holds its queue until ${date(until)}.`,
  behind: ({ jobs, more }) => `${more ? 'At least ' : ''}${count(jobs, 'job')} of its queue come first.`,
  'stuck-handlers': ({ handlers, jobs, since }) =>
    `${count(handlers, 'handler')} of its queue in this process did not return when their attempts ended, the first at ${date(since)}, and keep their slots: ${jobs.join(', ')}.`,
  busy: ({ running, concurrency }) =>
    `${count(running, 'job')} of its queue run, and this process takes ${concurrency} at once.`,
  due: () => 'Nothing keeps it: it is the next of its queue.',
}

export function reason<Code extends ReasonCode>(code: Code, facts: Facts[Code]): Reason {
  return { code, sentence: SENTENCES[code](facts), ...facts } as unknown as Reason
}

/** What stands in the way of a job. */
export interface Explanation {
  queue?: string
  id: string
  name?: string
  runId?: string
  /** Absent when no queue holds it. */
  state?: JobState
  /** At least one; what has to go first comes first. */
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

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`
}

function date(moment: number): string {
  return new Date(moment).toISOString()
}
