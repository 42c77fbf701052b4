import { checkHeaders } from '../../../kernel/index.ts'
import type { OptionChecks } from '../../lib/check-options.ts'
import type { Part, WaitRecord, WaitResult } from '../lib/wait-record.ts'

export type { Part, WaitRecord, WaitResult } from '../lib/wait-record.ts'

/** A wait that a step requests. The filters are not stored. */
export interface WaitRequest {
  mode: WaitRecord['mode']
  parts: readonly Part[]
  /** One filter for each part. It returns false for events to ignore. */
  filters: readonly (((payload: unknown) => boolean) | undefined)[]
  timeout?: number
  lookback?: number
}

/** `seq` is the position of the result in the log, or `Infinity` if it is not known. */
export type WaitStatus = { over: true; result: WaitResult; seq: number } | { over: false; wakeAt: number }

/** Options for completing a wait. */
export interface CompletionOptions {
  /** Text that travels with the event or the answer, such as the context of a trace. Default: none. */
  headers?: Readonly<Record<string, string>>
}

export const COMPLETION_CHECKS: OptionChecks<CompletionOptions> = {
  headers: (what, headers) => checkHeaders(what, headers) ?? {},
}

export const WEBHOOK_EVENT = 'webhook'

/** Returns the stream of the waits for a name and key. */
export function streamOf(event: string, key: string): string {
  return `wait:${event}:${key}`
}

/** Returns the log of the events for a name and key. */
export function logOf(event: string, key: string): string {
  return `_wait.log:${event.length}:${event}:${key}`
}

/** Returns the name of a wait around a handler. The parentheses distinguish it from waits of the handler itself. */
export const stageWait = (stage: 'before' | 'after'): string => `(${stage})`
