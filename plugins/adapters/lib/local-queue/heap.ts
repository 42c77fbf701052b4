/** Up to this many stale nodes, the heap is not rebuilt without them. */
export const MAX_STALE = 64

/** A binary heap: `first` is the item that is earlier than all others. */
export class Heap<T> {
  readonly #items: T[] = []
  readonly #earlier: (a: T, b: T) => boolean

  constructor(earlier: (a: T, b: T) => boolean) {
    this.#earlier = earlier
  }

  get size(): number {
    return this.#items.length
  }

  get first(): T | undefined {
    return this.#items[0]
  }

  push(item: T): void {
    const items = this.#items
    let index = items.push(item) - 1
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!this.#earlier(item, items[parent]!)) break
      items[index] = items[parent]!
      index = parent
    }
    items[index] = item
  }

  /** Removes and returns the first item. */
  pop(): T | undefined {
    const items = this.#items
    const first = items[0]
    const last = items.pop()
    if (items.length > 0) {
      items[0] = last!
      this.sink()
    }
    return first
  }

  /** Moves the first item to its place, after it has become later. */
  sink(): void {
    const items = this.#items
    const item = items[0]!
    let index = 0
    for (;;) {
      let child = 2 * index + 1
      if (child + 1 < items.length && this.#earlier(items[child + 1]!, items[child]!)) child++
      if (child >= items.length || !this.#earlier(items[child]!, item)) break
      items[index] = items[child]!
      index = child
    }
    items[index] = item
  }

  /** Keeps only these items. */
  replace(items: readonly T[]): void {
    // A sorted array is a valid heap.
    const sorted = items.toSorted((a, b) => (this.#earlier(a, b) ? -1 : 1))
    this.#items.splice(0, this.#items.length)
    for (const item of sorted) this.#items.push(item)
  }

  /** Returns the items for which the condition holds, in no order. */
  filter(holds: (item: T) => boolean): T[] {
    return this.#items.filter(holds)
  }
}
