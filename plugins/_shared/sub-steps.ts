interface Kept {
  lookup(name: string): Promise<{ found: boolean; result?: unknown }>
  record(name: string, result: unknown): Promise<unknown>
}

/** Runs parts of a handler over whatever keeps their results. A name that is used again counts on: `page`, `page#2`, … */
export function createStepRunner({ lookup, record }: Kept) {
  const used = new Map<string, number>()

  return async function run<T>(given: string, fn: () => T | Promise<T>): Promise<T> {
    const times = (used.get(given) ?? 0) + 1
    used.set(given, times)
    const name = times === 1 ? given : `${given}#${times}`
    const { found, result } = await lookup(name)
    return (found ? result : await record(name, await fn())) as T
  }
}
