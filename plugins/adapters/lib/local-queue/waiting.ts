import type { Due, Entry, JobList } from './entry.ts'
import { FairTurns } from './fair-turns.ts'

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

  add(entry: Entry): void {
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
  take(): Entry | undefined {
    const next = this.#lists[0]
    if (!next) return undefined
    const entry = next.first ?? next.fair!.next()!
    const list = entry.list!
    this.remove(entry)
    list.turns?.taken(entry, list)
    return entry
  }

  remove(entry: Entry): void {
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

/** Up to this many stale nodes, the heap is not rebuilt. */
const MAX_STALE = 64

/** Jobs that are not due yet: a binary heap ordered by due time, then by the order of arrival. */
export class DelayedJobs {
  readonly #heap: Due[] = []
  #arrivals = 0
  size = 0

  add(entry: Entry): void {
    const due: Due = { at: entry.record.runAt, order: this.#arrivals++, entry }
    entry.due = due
    this.size++
    let index = this.#heap.push(due) - 1
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!earlier(due, this.#heap[parent]!)) break
      this.#heap[index] = this.#heap[parent]!
      index = parent
    }
    this.#heap[index] = due
  }

  remove(entry: Entry): void {
    if (!entry.due) return
    entry.due = undefined
    this.size--
    // A job that was promoted, cancelled or removed leaves a stale node. At most half of the nodes are stale.
    if (this.#heap.length > 2 * this.size + MAX_STALE) this.#dropStale()
  }

  /** Rebuilds the heap without stale nodes. */
  #dropStale(): void {
    const live = this.#heap.filter((due) => due.entry.due === due).toSorted((a, b) => (earlier(a, b) ? -1 : 1))
    // A sorted array is a valid heap.
    this.#heap.splice(0, this.#heap.length)
    for (const due of live) this.#heap.push(due)
  }

  /** The number of nodes, including stale ones. */
  get nodes(): number {
    return this.#heap.length
  }

  /** Returns the moment at which the next job is due. */
  next(): number | undefined {
    while (this.#heap.length > 0 && this.#heap[0]!.entry.due !== this.#heap[0]) this.#pop()
    return this.#heap[0]?.at
  }

  /** Removes and returns the next job that is due at `now`. */
  takeDue(now: number): Entry | undefined {
    const at = this.next()
    if (at === undefined || at > now) return undefined
    const { entry } = this.#pop()
    this.remove(entry)
    return entry
  }

  #pop(): Due {
    const top = this.#heap[0]!
    const last = this.#heap.pop()!
    if (this.#heap.length > 0) this.#sink(last)
    return top
  }

  #sink(due: Due): void {
    const heap = this.#heap
    let index = 0
    for (;;) {
      let child = 2 * index + 1
      if (child + 1 < heap.length && earlier(heap[child + 1]!, heap[child]!)) child++
      if (child >= heap.length || !earlier(heap[child]!, due)) break
      heap[index] = heap[child]!
      index = child
    }
    heap[index] = due
  }
}

function earlier(a: Due, b: Due): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order)
}
