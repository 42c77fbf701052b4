import type { Part, WaitRecord, WaitResult } from '../lib/wait-record.ts'

export type { Part, WaitRecord, WaitResult } from '../lib/wait-record.ts'

/** What a step asks for; the functions in it stay in its process. */
export interface WaitRequest {
  mode: WaitRecord['mode']
  parts: readonly Part[]
  /** By part: passes over events that are not meant. */
  filters: readonly (((payload: unknown) => boolean) | undefined)[]
  timeout?: number
  lookback?: number
}

/** `seq` says where the result stands in the log, as far as that is known. */
export type WaitStatus = { over: true; result: WaitResult; seq: number } | { over: false; wakeAt: number }

export const WEBHOOK_EVENT = 'webhook'

/** Where the waits for one name and key are on record. */
export function streamOf(event: string, key: string): string {
  return `wait:${event}:${key}`
}

/** Where the events of one name and key are. */
export function logOf(event: string, key: string): string {
  return `_wait.log:${event.length}:${event}:${key}`
}

/** Tells the waits around a handler from those that it begins itself. */
export const stageWait = (stage: 'before' | 'after'): string => `(${stage})`
