/**
 * Runs one task a key at a time. Calls that come while one is under way share the next: each answers
 * for a task that began after it.
 */
export function oneAtATime<T, O extends Record<string, boolean>>(task: (key: string, options: O) => Promise<T>) {
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
    const forget = (): void => {
      if (current.get(key) === settled) current.delete(key)
    }
    const settled: Promise<void> = done.then(forget, forget)
    current.set(key, settled)
    return done
  }
}
