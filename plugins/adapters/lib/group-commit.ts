/** A call that waits for its group. */
interface Waiting<Item, Answer> {
  item: Item
  resolve: (answer: Answer) => void
  reject: (error: unknown) => void
}

export interface GroupCommitOptions<Item, Answer> {
  /** Stores the items of a group at once; answers in their order. */
  commit: (items: Item[]) => Promise<readonly Answer[]>
  /** The most items of a group. Default 1000. */
  maxItems?: number
  /** What an item counts in bytes, and the most a group may hold. Default 8 MiB. */
  sizeOf?: (item: Item) => number
  maxBytes?: number
  /** How many groups may be under way. Default 1, which keeps the order of calls. */
  parallel?: number
  /**
   * Whether a failed commit has stored nothing and may be the fault of a single item. Then the group is halved until
   * that item stands alone, and only its call fails. Default: all calls of the group fail.
   */
  splitOn?: (error: unknown) => boolean
}

export interface GroupCommit<Item, Answer> {
  push(item: Item): Promise<Answer>
  /** Resolves when nothing waits and nothing is under way. */
  idle(): Promise<void>
}

/**
 * Sends calls together that come together: at once when nothing is under way, else as one group with
 * all that came meanwhile. What a round trip and a commit cost is then shared, and nobody waits for a
 * timer.
 */
export function createGroupCommit<Item, Answer>(options: GroupCommitOptions<Item, Answer>): GroupCommit<Item, Answer> {
  const { commit, maxItems = 1000, maxBytes = 8 * 1024 * 1024, sizeOf, parallel = 1, splitOn } = options
  let waiting: Waiting<Item, Answer>[] = []
  let underWay = 0
  let scheduled = false
  let onIdle: (() => void)[] = []

  function take(): Waiting<Item, Answer>[] {
    let count = Math.min(waiting.length, maxItems)
    if (sizeOf) {
      let bytes = 0
      for (let index = 0; index < count; index++) {
        bytes += sizeOf(waiting[index]!.item)
        if (bytes > maxBytes && index > 0) count = index
      }
    }
    const group = waiting
    if (count === group.length) {
      waiting = []
      return group
    }
    waiting = group.slice(count)
    return group.slice(0, count)
  }

  /** Commits a group, or its halves one after the other, so that the order of calls is kept. */
  async function settle(group: Waiting<Item, Answer>[]): Promise<void> {
    try {
      const answers = await commit(group.map(({ item }) => item))
      // A pair for each of thousands of callers would be garbage.
      group.forEach(({ resolve }, index) => resolve(answers[index]!))
    } catch (error) {
      if (group.length > 1 && splitOn?.(error)) {
        const half = group.length >> 1
        await settle(group.slice(0, half))
        return settle(group.slice(half))
      }
      for (const { reject } of group) reject(error)
    }
  }

  async function flush(): Promise<void> {
    underWay++
    await settle(take())
    underWay--
    schedule()
    if (underWay > 0 || waiting.length > 0) return
    for (const resolve of onIdle) resolve()
    onIdle = []
  }

  function schedule(): void {
    if (scheduled || waiting.length === 0 || underWay >= parallel) return
    scheduled = true
    // After the callbacks of this turn, so that what they push travels along.
    setImmediate(() => {
      scheduled = false
      void flush()
    })
  }

  return {
    push(item) {
      return new Promise((resolve, reject) => {
        waiting.push({ item, resolve, reject })
        schedule()
      })
    },
    idle() {
      if (underWay === 0 && waiting.length === 0) return Promise.resolve()
      return new Promise((resolve) => onIdle.push(resolve))
    },
  }
}
