/**
 * Runs tasks of one key one after the other, in the order in which they came. A task that calls `release` lets the
 * next one begin before it is over itself.
 */
export function inTurn() {
  const last = new Map<string, Promise<void>>()
  return (key: string, task: (key: string, release: () => void) => Promise<void>): Promise<void> => {
    const released = Promise.withResolvers<void>()
    const running = (last.get(key) ?? Promise.resolve()).then(() => task(key, released.resolve))
    running.then(released.resolve, released.resolve)
    const over = released.promise.then(() => void (last.get(key) === over && last.delete(key)))
    last.set(key, over)
    return running
  }
}
