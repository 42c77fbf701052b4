import type { ExpirePolicy, RunOutcome } from '../../../kernel/index.ts'
import { isOwnQueue } from './own-queue.ts'

interface Node<T> {
  item: T
  endedAt: number
  list: EndedList<T>
  previous: Node<T> | undefined
  next: Node<T> | undefined
}

export type EndedNode<T> = Node<T>

/** A linked list of ended items, ordered by their end. The cost of expiring depends only on how many items expire. */
class EndedList<T> {
  #first: Node<T> | undefined
  #last: Node<T> | undefined
  #size = 0

  add(item: T, endedAt: number): Node<T> {
    const node: Node<T> = { item, endedAt, list: this, previous: this.#last, next: undefined }
    if (this.#last) this.#last.next = node
    else this.#first = node
    this.#last = node
    this.#size++
    return node
  }

  remove({ previous, next }: Node<T>): void {
    if (previous) previous.next = next
    else this.#first = next
    if (next) next.previous = previous
    else this.#last = previous
    this.#size--
  }

  *expire({ endedBefore, keep, keepSince = Infinity }: Omit<ExpirePolicy, 'outcome'>): Generator<T> {
    for (let node = this.#first; node; node = this.#first) {
      if (node.endedAt >= (this.#size > keep ? Math.max(endedBefore, keepSince) : endedBefore)) return
      this.remove(node)
      yield node.item
    }
  }
}

/** Items of user queues and of the engine's own queues. They are counted separately, so neither uses up the limit of the other. */
type Parts<T> = readonly [users: EndedList<T>, own: EndedList<T>]

/** Ended items, grouped by outcome and by owner (users or the engine). */
export class EndedLists<T> {
  readonly #lists: Record<RunOutcome, Parts<T>> = { completed: parts(), failed: parts(), cancelled: parts() }

  add(item: T, { outcome, queue, endedAt }: { outcome: RunOutcome; queue?: string; endedAt: number }): Node<T> {
    return this.#lists[outcome][isOwnQueue(queue) ? 1 : 0].add(item, endedAt)
  }

  remove(node: Node<T>): void {
    node.list.remove(node)
  }

  /** Removes and yields the items that exceed a bound of the policy. */
  *expire({ outcome, ...bounds }: ExpirePolicy): Generator<T> {
    for (const list of this.#lists[outcome]) yield* list.expire(bounds)
  }
}

function parts<T>(): Parts<T> {
  return [new EndedList(), new EndedList()]
}
