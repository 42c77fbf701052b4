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

/** What has ended, in the order it ended: expiring costs what expires. */
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

/** The users' and the engine's own: neither uses up the number of the other. */
type Parts<T> = readonly [users: EndedList<T>, own: EndedList<T>]

/** What has ended, by outcome and by whose it is. */
export class EndedLists<T> {
  readonly #lists: Record<RunOutcome, Parts<T>> = { completed: parts(), failed: parts(), cancelled: parts() }

  add(item: T, { outcome, queue, endedAt }: { outcome: RunOutcome; queue?: string; endedAt: number }): Node<T> {
    return this.#lists[outcome][isOwnQueue(queue) ? 1 : 0].add(item, endedAt)
  }

  remove(node: Node<T>): void {
    node.list.remove(node)
  }

  /** Takes out what passes one of the bounds of a policy. */
  *expire({ outcome, ...bounds }: ExpirePolicy): Generator<T> {
    for (const list of this.#lists[outcome]) yield* list.expire(bounds)
  }
}

function parts<T>(): Parts<T> {
  return [new EndedList(), new EndedList()]
}
