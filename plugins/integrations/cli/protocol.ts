import {
  QueueError,
  serializeError,
  type EnqueueResult,
  type FoundJobs,
  type JobRef,
  type JobState,
  type Kernel,
  type QueueLimits,
  type RunInfo,
  type SerializedError,
  type StoredEvent,
} from '../../../kernel/index.ts'
import type { RunHistory } from '../../observability/lib/history.ts'
import { encodeJson } from '../../lib/json.ts'
import type { Method, ParamsOf } from './requests.ts'

/*
 * The protocol between commands and a dev process. Each request is a line, `{ id, method, params }`. Each response is a
 * line with the same id, `{ id, result }` or `{ id, error }`, in any order. Lines are the tagged JSON of
 * `plugins/lib/json.ts`.
 */

/** The job of a command, and whether the command changed it. */
export interface ChangedJob {
  changed: boolean
  job: JobRef
}

export interface QueueFacts {
  name: string
  paused: boolean
  /** The keys whose jobs are paused. Absent if there are none. */
  pausedKeys?: Awaited<ReturnType<ReturnType<Kernel['queue']>['pausedKeys']>>
  counts: Record<JobState, number>
}

export interface LimitedQueue {
  name: string
  limits: QueueLimits
}

export interface WorkerFacts {
  id: string
  queue: string
  runtime: string
  concurrency: number
  /** Relative to the folder of the project. Absent for a worker that was registered by code. */
  file?: string
}

export interface Results {
  hello: { pid: number; cwd: string }
  enqueue: EnqueueResult
  result: unknown
  runs: RunInfo[]
  jobs: FoundJobs
  run: RunHistory
  state: Record<string, unknown>
  queryRun: unknown
  updateRun: unknown
  signalRun: EnqueueResult
  events: { events: readonly StoredEvent[]; ended: boolean }
  retry: ChangedJob
  cancel: ChangedJob
  duplicate: EnqueueResult
  reschedule: ChangedJob
  promote: ChangedJob
  remove: ChangedJob
  bulk: Awaited<ReturnType<Kernel['bulkReport']>>
  countBulk: Awaited<ReturnType<Kernel['countBulk']>>
  bulkReport: Awaited<ReturnType<Kernel['bulkReport']>>
  bulkReports: Awaited<ReturnType<Kernel['bulkReports']>>
  abortBulk: boolean
  queues: QueueFacts[]
  pause: QueueFacts
  resume: QueueFacts
  limit: LimitedQueue
  waits: Awaited<ReturnType<Kernel['openWaits']>>
  workers: WorkerFacts[]
  schedules: {
    name: string
    rule: string
    target: string
    next?: number
    paused: boolean
    removed: boolean
    last?: string
  }[]
  changeSchedule: boolean
  saveSchedule: boolean
  backfillSchedule: { moments: number[] }
  triggers: Awaited<ReturnType<Kernel['triggerDetails']>>
  changeTrigger: boolean
  saveTrigger: boolean
  fireTrigger: EnqueueResult
  triggerHistory: Awaited<ReturnType<Kernel['triggerHistory']>>
  errors: Awaited<ReturnType<Kernel['errors']>>
  setErrorStatus: Awaited<ReturnType<Kernel['errorGroup']>>
  audit: Awaited<ReturnType<Kernel['audit']>>
  stats: Awaited<ReturnType<Kernel['stats']>>
  api: { status: number; text: string }
  explain: Awaited<ReturnType<Kernel['explain']>>
  redrive: Awaited<ReturnType<Kernel['redrive']>>
  doctor: Awaited<ReturnType<Kernel['diagnose']>>
}

/** Handles requests: a dev process behind a socket, a kernel in this process, or a history file. */
export interface Backend {
  ask<M extends Method>(method: M, params: ParamsOf<M>): Promise<Results[M]>
  close(): Promise<void>
}

export interface Request {
  id: number
  method: string
  params: unknown
}

export type Response = { id: number; result: unknown } | { id: number; error: SerializedError }

export function encodeMessage(message: Request | Response): string {
  return `${encodeJson(message)}\n`
}

export function failureResponse(id: number, error: unknown): Response {
  return { id, error: serializeError(error) }
}

/** Restores an error of the other process, with its `code`. */
export function revive({ code, name, message, stack }: SerializedError): Error {
  if (name === 'QueueError' && code !== undefined) return new QueueError(code as QueueError['code'], message)
  return Object.assign(new Error(message), { name, ...(code !== undefined && { code }), ...(stack && { stack }) })
}

/** Calls back with each line of a stream. */
export function createMessageReader(onLine: (line: string) => void): (chunk: string) => void {
  let rest = ''
  return (chunk) => {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop()!
    for (const line of lines) onLine(line)
  }
}
