/** How many deletions a fresh table takes at least. */
const CHURN = 256

/**
 * A map for entries that come and go with every job. V8 links the tables a Map outgrows to their
 * successors; once one of them has reached the old generation, all that its successors held survives
 * until the next full collection. So this one moves to a fresh Map before its tables grow old, which
 * is paid for by the deletions that make it necessary.
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
  /** In the order of insertion; do not delete more than the entry at hand while iterating. */
  values(): MapIterator<V> {
    return this.#map.values()
  }
}
