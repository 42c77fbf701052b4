/** One thing that is waited for, as it is kept. */
export type Part =
  /** Milliseconds since the epoch. */
  | { type: 'time' | 'schedule'; at: number }
  /** `once`: nobody else will ever wait under this key; `after`: an earlier wait of the run has taken what came up to this `seq`. */
  | { type: 'event' | 'webhook'; event: string; key: string; once?: boolean; after?: number }

/** Data of `step.awaiting`. */
export interface WaitRecord {
  name: string
  mode: 'one' | 'any' | 'all'
  parts: readonly Part[]
  /** Events from this moment on count, in milliseconds since the epoch. */
  since: number
  /** When it times out. */
  until?: number
}

/** Data of `step.resumed`. */
export interface WaitResult {
  name: string
  timedOut: boolean
  index?: number
  payload?: unknown
  payloads?: readonly unknown[]
}

/** What a step asks for; the functions in it stay in its process. */
export interface WaitRequest {
  mode: WaitRecord['mode']
  parts: readonly Part[]
  /** By part: passes over events that are not meant. */
  filters: readonly (((payload: unknown) => boolean) | undefined)[]
  timeout?: number
  lookback?: number
}

export type WaitStatus = { over: true; result: WaitResult } | { over: false; wakeAt: number }

export const WEBHOOK_EVENT = 'webhook'

/** Where waits and events of one name and key meet. */
export function streamOf(event: string, key: string): string {
  return `wait:${event}:${key}`
}

export const awaitingKey = (jobId: string, name: string): string => `awaiting:${jobId}:${name}`
export const resumedKey = (jobId: string, name: string): string => `resumed:${jobId}:${name}`

/** Tells the waits around a handler from those that it begins itself. */
export const stageWait = (stage: 'before' | 'after'): string => `(${stage})`
