/**
 * Returns a function that runs at most one task per key at a time. Calls that arrive while a task is running share
 * the next run, so every caller gets the result of a run that started after its call. An option is true for the
 * shared run if any of its callers passed true.
 */
export function keyedCoalescer<T, O extends Record<string, boolean>>(task: (key: string, options: O) => Promise<T>) {
  const current = new Map<string, Promise<unknown>>()
  const next = new Map<string, { options: O; done: Promise<T> }>()

  return function run(key: string, options: O): Promise<T> {
    const waiting = next.get(key)
    if (waiting) {
      for (const name in options) if (options[name]) waiting.options[name] = options[name]
      return waiting.done
    }
    const running = current.get(key)
    if (!running) return begin(key, options)
    const entry = { options: { ...options }, done: undefined as unknown as Promise<T> }
    const start = (): Promise<T> => {
      next.delete(key)
      return begin(key, entry.options)
    }
    entry.done = running.then(start, start)
    next.set(key, entry)
    return entry.done
  }

  function begin(key: string, options: O): Promise<T> {
    const done = task(key, options)
    const remove = (): void => {
      if (current.get(key) === settled) current.delete(key)
    }
    const settled: Promise<void> = done.then(remove, remove)
    current.set(key, settled)
    return done
  }
}
