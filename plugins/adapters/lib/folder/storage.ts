import type { Journal, JournalOptions, Fsync } from './journal.ts'

/** A folder that belongs to this kernel, and the journals in it. */
export interface FileStorage {
  /** Its absolute path. */
  readonly folder: string
  readonly fsync: Fsync
  /** How many jobs may wait in one queue. */
  readonly maxQueueSize: number
  /** Opens the journal `<name>.jsonl`, and hands what it holds to `apply`. */
  open(
    name: string,
    options: Pick<JournalOptions, 'header' | 'snapshot'>,
    apply: (line: Record<string, unknown>) => void,
  ): Journal
  /** The first line of a journal, if it has one. */
  header(name: string): Record<string, unknown> | undefined
  /** The names of the journals in a subfolder. */
  list(subfolder: string): string[]
}

declare module 'nuxt-queue/kernel' {
  interface Ports {
    /** Provided by the plugin `file`. */
    file: FileStorage
  }
}
