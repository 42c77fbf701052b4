export const ERROR_STATES = ['open', 'resolved', 'ignored'] as const
export type ErrorState = (typeof ERROR_STATES)[number]

/** Errors that jobs failed with and that have the same cause, as `GET errors` returns them. */
export interface ErrorGroup {
  fingerprint: string
  name: string
  message: string
  code?: string
  frame?: string
  queue: string
  worker: string
  count: number
  firstSeen: number
  lastSeen: number
  status: ErrorState
  regressed: boolean
  jobs: readonly { id: string; runId: string; at: number; message: string }[]
}
