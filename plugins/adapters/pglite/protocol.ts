export interface ThreadData {
  dataDir: string
  /** True if the database has to be created. */
  fresh: boolean
}

export interface ToThread {
  id: number
  text: string
  values?: readonly unknown[]
  /** A channel to listen on, instead of a statement. */
  listen?: string
}

export type FromThread =
  | { type: 'ready' }
  | { type: 'failed'; message: string; version?: string }
  | { type: 'rows'; id: number; rows: Record<string, unknown>[] }
  | { type: 'error'; id: number; error: { message: string } & Record<string, string | undefined> }
  | { type: 'notification'; channel: string; payload: string }
