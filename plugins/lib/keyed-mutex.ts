/**
 * Returns a function that runs tasks with the same key one after another, in the order of the calls. A task may call
 * `release` to let the next task start before it has finished itself.
 */
export function keyedMutex() {
  const last = new Map<string, Promise<void>>()
  return (key: string, task: (key: string, release: () => void) => Promise<void>): Promise<void> => {
    const released = Promise.withResolvers<void>()
    const running = (last.get(key) ?? Promise.resolve()).then(() => task(key, released.resolve))
    running.then(released.resolve, released.resolve)
    const finished = released.promise.then(() => void (last.get(key) === finished && last.delete(key)))
    last.set(key, finished)
    return running
  }
}
