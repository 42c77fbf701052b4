import type { Due, JobEntry, JobList } from './entry.ts'
import { FairTurns } from './fair-turns.ts'
import { Heap, MAX_STALE } from './heap.ts'

/** The waiting jobs of one priority: a list of jobs without a `fairKey`, and the turns of the jobs that have one. */
interface PriorityList extends JobList {
  fair?: FairTurns
}

/**
 * Jobs that may run, highest priority first. Within a priority, jobs without a `fairKey` come first, in the order of arrival. The keys of
 * the other jobs take turns.
 */
export class WaitingJobs {
  readonly #lists: PriorityList[] = []
  size = 0

  add(entry: JobEntry): void {
    const { priority, options } = entry.record
    const ofPriority = this.#listOf(priority)
    const { fairKey } = options
    const list = fairKey === undefined ? ofPriority : (ofPriority.fair ??= new FairTurns()).listOf(fairKey, priority)
    entry.list = list
    entry.previous = list.last
    if (list.last) list.last.next = entry
    else list.first = entry
    list.last = entry
    this.size++
  }

  /** Removes and returns the next job. */
  take(): JobEntry | undefined {
    const next = this.#lists[0]
    if (!next) return undefined
    const entry = next.first ?? next.fair!.next()!
    const list = entry.list!
    this.remove(entry)
    list.turns?.taken(entry, list)
    return entry
  }

  remove(entry: JobEntry): void {
    const { list, previous, next } = entry
    if (!list) return
    if (previous) previous.next = next
    else list.first = next
    if (next) next.previous = previous
    else list.last = previous
    entry.list = entry.previous = entry.next = undefined
    this.size--
    if (list.first) return
    list.turns?.drop(list)
    const index = this.#find(list.priority)
    const { first, fair } = this.#lists[index]!
    if (!first && !fair?.size) this.#lists.splice(index, 1)
  }

  #listOf(priority: number): PriorityList {
    const index = this.#find(priority)
    const found = this.#lists[index]
    if (found?.priority === priority) return found
    const list: PriorityList = { priority, first: undefined, last: undefined }
    this.#lists.splice(index, 0, list)
    return list
  }

  /** Returns the index of the list of a priority, or where to insert it. A binary search, since each job may have its own priority. */
  #find(priority: number): number {
    let low = 0
    let high = this.#lists.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#lists[middle]!.priority > priority) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** Jobs that are not due yet: a heap ordered by due time, then by the order of arrival. */
export class DelayedJobs {
  readonly #heap = new Heap<Due>(earlier)
  #arrivals = 0
  size = 0

  add(entry: JobEntry): void {
    const due: Due = { at: entry.record.runAt, order: this.#arrivals++, entry }
    entry.due = due
    this.size++
    this.#heap.push(due)
  }

  remove(entry: JobEntry): void {
    if (!entry.due) return
    entry.due = undefined
    this.size--
    // A job that was promoted, cancelled or removed leaves a stale node. At most half of the nodes are stale.
    if (this.#heap.size <= 2 * this.size + MAX_STALE) return
    this.#heap.replace(this.#heap.filter((due) => due.entry.due === due))
  }

  /** The number of nodes, including stale ones. */
  get nodes(): number {
    return this.#heap.size
  }

  /** Returns the moment at which the next job is due. */
  next(): number | undefined {
    let { first } = this.#heap
    while (first && first.entry.due !== first) {
      this.#heap.pop()
      first = this.#heap.first
    }
    return first?.at
  }

  /** Removes and returns the next job that is due at `now`. */
  takeDue(now: number): JobEntry | undefined {
    const at = this.next()
    if (at === undefined || at > now) return undefined
    const { entry } = this.#heap.pop()!
    this.remove(entry)
    return entry
  }
}

function earlier(a: Due, b: Due): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order)
}
