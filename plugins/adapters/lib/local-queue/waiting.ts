import type { JobRecord } from '../../../../kernel/index.ts'
import type { EndedNode } from '../ended.ts'

/** A job in the memory of the queue, and where it stands. */
export interface Entry {
  readonly record: JobRecord
  /** Neighbours in its line while it waits. */
  previous: Entry | undefined
  next: Entry | undefined
  /** The line it stands in. */
  line: Line | undefined
  /** Its place in the heap of delayed jobs; one that is not this one is stale. */
  due: Due | undefined
  /** Was promoted while active: the next deferral lasts no time. */
  promoted: boolean
  /** Its place among the ended jobs. */
  ended: EndedNode<Entry> | undefined
}

interface Line {
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
    line: undefined,
    due: undefined,
    promoted: false,
    ended: undefined,
  }
}

/** Jobs that may run: a line for each priority, most urgent first, each in the order of arrival. */
export class WaitingJobs {
  readonly #lines: Line[] = []
  size = 0

  add(entry: Entry): void {
    const line = this.#lineOf(entry.record.priority)
    entry.line = line
    entry.previous = line.last
    if (line.last) line.last.next = entry
    else line.first = entry
    line.last = entry
    this.size++
  }

  /** Takes the most urgent job out. */
  take(): Entry | undefined {
    const entry = this.#lines[0]?.first
    if (entry) this.remove(entry)
    return entry
  }

  remove(entry: Entry): void {
    const { line, previous, next } = entry
    if (!line) return
    if (previous) previous.next = next
    else line.first = next
    if (next) next.previous = previous
    else line.last = previous
    entry.line = entry.previous = entry.next = undefined
    this.size--
    if (!line.first) this.#lines.splice(this.#find(line.priority), 1)
  }

  #lineOf(priority: number): Line {
    const index = this.#find(priority)
    const found = this.#lines[index]
    if (found?.priority === priority) return found
    const line: Line = { priority, first: undefined, last: undefined }
    this.#lines.splice(index, 0, line)
    return line
  }

  /** Where the line of a priority stands, or would. There may be as many as jobs. */
  #find(priority: number): number {
    let low = 0
    let high = this.#lines.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#lines[middle]!.priority > priority) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** How many stale places of a heap are not worth building it anew. */
const KEPT_STALE = 64

/** Jobs that are not due yet: a binary heap, earliest first, then in the order of arrival. */
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
    // What was promoted, cancelled or removed leaves a stale place: no more of them than of others.
    if (this.#heap.length > 2 * this.size + KEPT_STALE) this.#dropStale()
  }

  /** Builds the heap anew from those that still wait. */
  #dropStale(): void {
    const live = this.#heap.filter((due) => due.entry.due === due).toSorted((a, b) => (earlier(a, b) ? -1 : 1))
    // What is in order is a heap.
    this.#heap.splice(0, this.#heap.length)
    for (const due of live) this.#heap.push(due)
  }

  /** How many places there are, stale ones included. */
  get places(): number {
    return this.#heap.length
  }

  /** When the next job is due. */
  next(): number | undefined {
    while (this.#heap.length > 0 && this.#heap[0]!.entry.due !== this.#heap[0]) this.#pop()
    return this.#heap[0]?.at
  }

  /** Takes out the next job that is due by `now`. */
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
