import type { Entry, JobList, KeyTurns } from './entry.ts'

/** The waiting jobs of one fair key, in the order of arrival. */
export interface KeyList extends JobList {
  key: string
  /** The turn of its first job. Keys with smaller turns come first. */
  turn: number
  /** Orders keys of the same turn: first come, first served. */
  order: number
}

/** Up to this many stale nodes, the heap is not rebuilt. */
const MAX_STALE = 64

/**
 * The waiting jobs of one priority that have a `fairKey`. Keys take turns: a key of weight 1 starts one job a turn, a key of weight 4 four.
 * A key that begins to wait joins the turn that is in progress, behind the keys that are already in it.
 */
export class FairTurns implements KeyTurns {
  readonly #lists = new Map<string, KeyList>()
  /** A binary heap of keys. A key without jobs is stale. */
  #heap: KeyList[] = []
  #orders = 0
  /** The turn that was in progress when the last job was taken. */
  #turn = 0

  get size(): number {
    return this.#lists.size
  }

  /** Returns the list to which a job of a key is appended. */
  listOf(key: string, priority: number): KeyList {
    const known = this.#lists.get(key)
    if (known) return known
    const turn = this.#top()?.turn ?? this.#turn
    const list: KeyList = { turns: this, priority, key, turn, order: this.#orders++, first: undefined, last: undefined }
    this.#lists.set(key, list)
    this.#heap.push(list)
    this.#rise(this.#heap.length - 1)
    return list
  }

  /** Returns the next job. The caller removes it. */
  next(): Entry | undefined {
    return this.#top()?.first
  }

  /** Charges the key of a job that was taken. */
  taken({ record: { options } }: Entry, list: KeyList): void {
    this.#turn = list.turn
    list.turn += 1 / (options.fairWeight ?? 1)
    list.order = this.#orders++
    // The list of the job that was taken is at the top.
    if (list.first) this.#sink(0)
  }

  /** Forgets a key without jobs. */
  drop({ key }: KeyList): void {
    this.#lists.delete(key)
    if (this.#heap.length <= 2 * this.#lists.size + MAX_STALE) return
    // A sorted array is a valid heap.
    this.#heap = [...this.#lists.values()].toSorted((a, b) => (earlier(a, b) ? -1 : 1))
  }

  /** Removes stale keys from the top of the heap, and returns the first key. */
  #top(): KeyList | undefined {
    while (this.#heap.length > 0 && this.#lists.get(this.#heap[0]!.key) !== this.#heap[0]) {
      const last = this.#heap.pop()!
      if (this.#heap.length === 0) break
      this.#heap[0] = last
      this.#sink(0)
    }
    return this.#heap[0]
  }

  #rise(from: number): void {
    const list = this.#heap[from]!
    let index = from
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!earlier(list, this.#heap[parent]!)) break
      this.#heap[index] = this.#heap[parent]!
      index = parent
    }
    this.#heap[index] = list
  }

  #sink(from: number): void {
    const list = this.#heap[from]!
    let index = from
    for (;;) {
      let child = 2 * index + 1
      if (child + 1 < this.#heap.length && earlier(this.#heap[child + 1]!, this.#heap[child]!)) child++
      if (child >= this.#heap.length || !earlier(this.#heap[child]!, list)) break
      this.#heap[index] = this.#heap[child]!
      index = child
    }
    this.#heap[index] = list
  }
}

function earlier(a: KeyList, b: KeyList): boolean {
  return a.turn < b.turn || (a.turn === b.turn && a.order < b.order)
}
