/** Runs tasks of one key one after the other, in the order in which they came. */
export function inTurn() {
  const last = new Map<string, Promise<void>>()
  return (key: string, task: (key: string) => Promise<void>): Promise<void> => {
    const running = (last.get(key) ?? Promise.resolve()).then(() => task(key))
    const over = running.catch(() => {}).then(() => void (last.get(key) === over && last.delete(key)))
    last.set(key, over)
    return running
  }
}
