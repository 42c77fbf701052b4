import type { Journal, JournalOptions, Fsync } from './journal.ts'

/** A folder that belongs to this kernel, and the journals in it. */
export interface FileStorage {
  /** Its absolute path. */
  readonly folder: string
  readonly fsync: Fsync
  /** The maximum number of jobs that wait in one queue. */
  readonly maxQueueSize: number
  /** Opens the journal `<name>.jsonl` and calls `apply` with each of its lines. */
  open(
    name: string,
    options: Pick<JournalOptions, 'header' | 'snapshot'>,
    apply: (line: Record<string, unknown>) => void,
  ): Journal
  /** Returns the first line of a journal, or `undefined` if it has none. */
  header(name: string): Record<string, unknown> | undefined
  /** Returns the names of the journals in a subfolder. */
  list(subfolder: string): string[]
}

declare module 'nuxt-queue/kernel' {
  interface Ports {
    /** Provided by the plugin `file`. */
    file: FileStorage
  }
}
