import type { JobRecord } from '../../../../kernel/index.ts'
import type { EndedNode } from '../ended.ts'

/** A job in the memory of the queue, with its positions in the lists that contain it. */
export interface Entry {
  readonly record: JobRecord
  /** The neighbours in its list of waiting jobs. */
  previous: Entry | undefined
  next: Entry | undefined
  /** The list of waiting jobs that contains it. */
  list: PriorityList | undefined
  /** Its node in the heap of delayed jobs. Any other node with this entry is stale. */
  due: Due | undefined
  /** True if the job was promoted while it was active. Its next deferral then ends immediately. */
  promoted: boolean
  /** Its node among the ended jobs. */
  ended: EndedNode<Entry> | undefined
}

interface PriorityList {
  priority: number
  first: Entry | undefined
  last: Entry | undefined
}

export interface Due {
  at: number
  order: number
  entry: Entry
}

export function createEntry(record: JobRecord): Entry {
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

/** Jobs that may run: one list for each priority, highest priority first. Each list is in the order of arrival. */
export class WaitingJobs {
  readonly #lists: PriorityList[] = []
  size = 0

  add(entry: Entry): void {
    const list = this.#listOf(entry.record.priority)
    entry.list = list
    entry.previous = list.last
    if (list.last) list.last.next = entry
    else list.first = entry
    list.last = entry
    this.size++
  }

  /** Removes and returns the first job of the highest priority. */
  take(): Entry | undefined {
    const entry = this.#lists[0]?.first
    if (entry) this.remove(entry)
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
    if (!list.first) this.#lists.splice(this.#find(list.priority), 1)
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
