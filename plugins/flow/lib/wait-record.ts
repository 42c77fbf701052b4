/** A part of a wait, as it is stored. */
export type Part =
  /** Milliseconds since the epoch. */
  | { type: 'time' | 'schedule'; at: number }
  | {
      type: 'event' | 'webhook'
      event: string
      key: string
      /** True if no other wait will ever use this key. */
      once?: boolean
      /** For a webhook: each token has a secret besides the key. Absent in waits of earlier releases. */
      hashed?: boolean
      /** The position in the event log up to which an earlier wait of the run has taken the events. */
      behind?: { seq: number; at: number }
      /** The `seq` in the stream of waits up to which an earlier wait of the run has taken the events. */
      after?: number
      /** For a webhook: true if a GET resolves the wait. */
      get?: boolean
      /** For a webhook: the texts of its page. */
      page?: object
    }

/** Data of `step.awaiting`. */
export interface WaitRecord {
  name: string
  mode: 'one' | 'any' | 'all'
  parts: readonly Part[]
  /** Events from this moment on count, in milliseconds since the epoch. */
  since: number
  /** The moment of its timeout, in milliseconds since the epoch. */
  until?: number
  /** Names of the failed sub-steps that the handler had caught before it began to wait. */
  past?: readonly string[]
  /** Headers of the attempt that began to wait, such as the context of its trace. Absent if there are none. */
  headers?: Readonly<Record<string, string>>
}

/** Data of `step.resumed`. */
export interface WaitResult {
  name: string
  timedOut: boolean
  index?: number
  payload?: unknown
  payloads?: readonly unknown[]
  /**
   * The headers of the events that it took, such as the context of the trace that sent them. A moment and a timeout have those of the
   * attempt that began to wait. Absent if there are none.
   */
  causes?: readonly Readonly<Record<string, string>>[]
}

export const resumedKey = (jobId: string, name: string): string => `resumed:${jobId}:${name}`
export const awaitingKey = (jobId: string, name: string): string => `awaiting:${jobId}:${name}`

/** Returns the name of a wait for display. */
export const shownName = (name: string): string => name.replace(/^\(flow\) /, '')
