import type { ExpirePolicy, RunOutcome } from '../../kernel/index.ts'

interface Node<T> {
  item: T
  endedAt: number
  previous: Node<T> | undefined
  next: Node<T> | undefined
}

export type EndedNode<T> = Node<T>

/** What has ended, by outcome and in the order it ended: expiring costs what expires. */
export class EndedList<T> {
  #first: Node<T> | undefined
  #last: Node<T> | undefined
  size = 0

  add(item: T, endedAt: number): Node<T> {
    const node: Node<T> = { item, endedAt, previous: this.#last, next: undefined }
    if (this.#last) this.#last.next = node
    else this.#first = node
    this.#last = node
    this.size++
    return node
  }

  remove({ previous, next }: Node<T>): void {
    if (previous) previous.next = next
    else this.#first = next
    if (next) next.previous = previous
    else this.#last = previous
    this.size--
  }

  /** Takes out what passes one of the bounds of a policy. */
  *expire({ endedBefore, keep, keepSince = Infinity }: Omit<ExpirePolicy, 'outcome'>): Generator<T> {
    for (let node = this.#first; node; node = this.#first) {
      if (node.endedAt >= (this.size > keep ? Math.max(endedBefore, keepSince) : endedBefore)) return
      this.remove(node)
      yield node.item
    }
  }
}

export function endedByOutcome<T>(): Record<RunOutcome, EndedList<T>> {
  return { completed: new EndedList(), failed: new EndedList(), cancelled: new EndedList() }
}
