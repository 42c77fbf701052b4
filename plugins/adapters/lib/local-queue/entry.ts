import type { JobRecord } from '../../../../kernel/index.ts'
import type { EndedNode } from '../ended.ts'

/** A job in the memory of the queue, with its positions in the lists that contain it. */
export interface JobEntry {
  readonly record: JobRecord
  /** The neighbours in its list of waiting jobs. */
  previous: JobEntry | undefined
  next: JobEntry | undefined
  /** The list of waiting jobs that contains it. */
  list: JobList | undefined
  /** Its node in the heap of delayed jobs. Any other node with this entry is stale. */
  due: Due | undefined
  /** True if the job was promoted while it was active. Its next deferral then ends immediately. */
  promoted: boolean
  /** Its node among the ended jobs. */
  ended: EndedNode<JobEntry> | undefined
}

/** A list of waiting jobs of one priority, in the order of arrival. */
export interface JobList {
  priority: number
  first: JobEntry | undefined
  last: JobEntry | undefined
  /** The turns of the fair key that the list belongs to. */
  turns?: KeyTurns
}

/** The turns of fair keys. */
export interface KeyTurns {
  /** Charges the key of a job that was taken. */
  taken(entry: JobEntry, list: JobList): void
  /** Forgets a key without jobs. */
  drop(list: JobList): void
}

export interface Due {
  at: number
  order: number
  entry: JobEntry
}

export function createEntry(record: JobRecord): JobEntry {
  return {
    record,
    previous: undefined,
    next: undefined,
    list: undefined,
    due: undefined,
    promoted: false,
    ended: undefined,
  }
}
