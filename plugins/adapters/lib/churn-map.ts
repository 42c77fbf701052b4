/** The minimum number of deletions before the table is replaced. */
const CHURN = 256

/**
 * A map whose entries are added and deleted with every job. When a `Map` outgrows its hash table, V8 links the old table
 * to the new one. Once an old table is in the old generation of the heap, everything that its successors held survives
 * until the next full collection. `ChurnMap` therefore copies its entries to a new `Map` before the tables grow old. The
 * copies are rare enough that each deletion pays a constant share of them.
 */
export class ChurnMap<K, V> {
  #map = new Map<K, V>()
  #deleted = 0

  get size(): number {
    return this.#map.size
  }
  get(key: K): V | undefined {
    return this.#map.get(key)
  }
  set(key: K, value: V): void {
    this.#map.set(key, value)
  }
  delete(key: K): boolean {
    const deleted = this.#map.delete(key)
    if (++this.#deleted > CHURN + 4 * this.#map.size) {
      this.#deleted = 0
      this.#map = new Map(this.#map)
    }
    return deleted
  }
  /** Values in the order of insertion. During iteration, delete no entry but the current one. */
  values(): MapIterator<V> {
    return this.#map.values()
  }
}
