import type { JobEntry, JobList, KeyTurns } from './entry.ts'
import { Heap, MAX_STALE } from './heap.ts'

/** The waiting jobs of one fair key, in the order of arrival. */
export interface KeyList extends JobList {
  key: string
  /** The turn of its first job. Keys with smaller turns come first. */
  turn: number
  /** Orders keys of the same turn: first come, first served. */
  order: number
}

/**
 * The waiting jobs of one priority that have a `fairKey`. Keys take turns: a key of weight 1 starts one job a turn, a key of weight 4 four.
 * A key that begins to wait joins the turn that is in progress, behind the keys that are already in it.
 */
export class FairTurns implements KeyTurns {
  readonly #lists = new Map<string, KeyList>()
  /** The keys by turn. A key without jobs is stale. */
  readonly #heap = new Heap<KeyList>(earlier)
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
    return list
  }

  /** Returns the next job. The caller removes it. */
  next(): JobEntry | undefined {
    return this.#top()?.first
  }

  /** Charges the key of a job that was taken. */
  taken({ record: { options } }: JobEntry, list: KeyList): void {
    this.#turn = list.turn
    list.turn += 1 / (options.fairWeight ?? 1)
    list.order = this.#orders++
    // The list of the job that was taken is at the top.
    if (list.first) this.#heap.sink()
  }

  /** Forgets a key without jobs. */
  drop({ key }: KeyList): void {
    this.#lists.delete(key)
    if (this.#heap.size > 2 * this.#lists.size + MAX_STALE) this.#heap.replace([...this.#lists.values()])
  }

  /** Removes stale keys from the top of the heap, and returns the first key. */
  #top(): KeyList | undefined {
    let { first } = this.#heap
    while (first && this.#lists.get(first.key) !== first) {
      this.#heap.pop()
      first = this.#heap.first
    }
    return first
  }
}

function earlier(a: KeyList, b: KeyList): boolean {
  return a.turn < b.turn || (a.turn === b.turn && a.order < b.order)
}
