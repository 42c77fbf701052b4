/** One thing that is waited for, as it is kept. */
export type Part =
  /** Milliseconds since the epoch. */
  | { type: 'time' | 'schedule'; at: number }
  | {
      type: 'event' | 'webhook'
      event: string
      key: string
      /** Nobody else will ever wait under this key. */
      once?: boolean
      /** Of a wait for a request: the key is no secret, and its tokens have one each. Absent in waits of earlier releases. */
      hashed?: boolean
      /** An earlier wait of the run has taken what came up to here: in the log of events, and where the waits are. */
      behind?: { seq: number; at: number }
      after?: number
      /** Of a wait for a request: a GET answers it; what its page says. */
      get?: boolean
      page?: object
    }

/** Data of `step.awaiting`. */
export interface WaitRecord {
  name: string
  mode: 'one' | 'any' | 'all'
  parts: readonly Part[]
  /** Events from this moment on count, in milliseconds since the epoch. */
  since: number
  /** When it times out. */
  until?: number
  /** Names of the failed parts that the handler had gone on from when it began to wait. */
  past?: readonly string[]
}

/** Data of `step.resumed`. */
export interface WaitResult {
  name: string
  timedOut: boolean
  index?: number
  payload?: unknown
  payloads?: readonly unknown[]
}

export const resumedKey = (jobId: string, name: string): string => `resumed:${jobId}:${name}`
export const awaitingKey = (jobId: string, name: string): string => `awaiting:${jobId}:${name}`

/** The name of a wait as people read it. */
export const shownName = (name: string): string => name.replace(/^\(flow\) /, '')
