/** A call that waits for its group to be committed. */
interface Waiting<Item, Result> {
  item: Item
  resolve: (answer: Result) => void
  reject: (error: unknown) => void
}

export interface GroupCommitOptions<Item, Result> {
  /** Stores the items of a group together. Returns one result for each item, in the same order. */
  commit: (items: Item[]) => Promise<readonly Result[]>
  /** The maximum number of items in a group, or of different keys if there is `keyOf`. Default 1000. */
  maxItems?: number
  /** Returns the key of an item. A group also takes the next waiting items of its keys, beyond `maxItems`. */
  keyOf?: (item: Item) => string
  /** Returns the size of an item in bytes. */
  sizeOf?: (item: Item) => number
  /** The maximum size of a group in bytes, as measured by `sizeOf`. Default 8 MiB. */
  maxBytes?: number
  /** How many groups may be in flight at the same time. Default 1, which preserves the order of calls. */
  parallel?: number
  /**
   * Returns true if a failed commit stored nothing and one item alone may have caused the failure. The group is then
   * split in halves until that item is alone, and only its call fails. By default, all calls of the group fail.
   */
  splitOn?: (error: unknown) => boolean
  /**
   * Whether a group begins right after the current call stack, and not after all callbacks of the turn of the event loop.
   * Groups are smaller then, and calls wait less. Default false.
   */
  soon?: boolean
}

export interface GroupCommit<Item, Result> {
  push(item: Item): Promise<Result>
  /** Resolves when no call waits and no group is in flight. */
  idle(): Promise<void>
}

/** How many items are searched for those of the keys of a group, for each of `maxItems`. A job makes two appends or a few more. */
const SEARCHED = 4

/**
 * Groups calls that arrive at the same time. A group is committed immediately if none is in flight. Otherwise the calls
 * that arrive in the meantime form the next group. The calls of a group share the cost of the round trip and of the
 * commit, and no call waits for a timer.
 */
export function createGroupCommit<Item, Result>(options: GroupCommitOptions<Item, Result>): GroupCommit<Item, Result> {
  const {
    commit,
    maxItems = 1000,
    maxBytes = 8 * 1024 * 1024,
    keyOf,
    sizeOf,
    parallel = 1,
    splitOn,
    soon = false,
  } = options
  let waiting: Waiting<Item, Result>[] = []
  let inFlight = 0
  let scheduled = false
  let onIdle: (() => void)[] = []

  function take(): Waiting<Item, Result>[] {
    if (keyOf && waiting.length > maxItems) return takeByKey(keyOf)
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

  /** Takes the items of the first keys. The items of a key keep their order, because those behind a full group all stay. */
  function takeByKey(keyOf: (item: Item) => string): Waiting<Item, Result>[] {
    const group: Waiting<Item, Result>[] = []
    const left: Waiting<Item, Result>[] = []
    const keys = new Set<string>()
    let bytes = 0
    let next = 0
    for (; next < waiting.length && next < maxItems * SEARCHED; next++) {
      const one = waiting[next]!
      const key = keyOf(one.item)
      if (keys.size === maxItems && !keys.has(key)) {
        left.push(one)
        continue
      }
      bytes += sizeOf?.(one.item) ?? 0
      if (bytes > maxBytes && group.length > 0) break
      keys.add(key)
      group.push(one)
    }
    waiting = [...left, ...waiting.slice(next)]
    return group
  }

  /** Commits a group. If it has to be split, commits the halves one after the other to preserve the order of calls. */
  async function settle(group: Waiting<Item, Result>[]): Promise<void> {
    try {
      const results = await commit(group.map(({ item }) => item))
      // `entries()` would allocate a pair for each of thousands of callers.
      group.forEach(({ resolve }, index) => resolve(results[index]!))
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
    inFlight++
    await settle(take())
    inFlight--
    schedule()
    if (inFlight > 0 || waiting.length > 0) return
    for (const resolve of onIdle) resolve()
    onIdle = []
  }

  function flushAll(): void {
    scheduled = false
    do void flush()
    while (waiting.length > 0 && inFlight < parallel)
  }

  function schedule(): void {
    if (scheduled || waiting.length === 0 || inFlight >= parallel) return
    scheduled = true
    const later = soon ? process.nextTick : setImmediate
    later(flushAll)
  }

  return {
    push(item) {
      return new Promise((resolve, reject) => {
        waiting.push({ item, resolve, reject })
        schedule()
      })
    },
    idle() {
      if (inFlight === 0 && waiting.length === 0) return Promise.resolve()
      return new Promise((resolve) => onIdle.push(resolve))
    },
  }
}
