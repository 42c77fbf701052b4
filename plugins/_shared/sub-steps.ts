import type { Suspendable } from './suspension.ts'

interface Kept {
  lookup(name: string): Promise<{ found: boolean; result?: unknown }>
  record(name: string, result: unknown): Promise<unknown>
  /** What a handler is left with that can only go on later. */
  leave(): unknown
}

/**
 * Runs parts of a handler over whatever keeps their results. A name that is used again counts on:
 * `page`, `page#2`, …
 */
export function createStepRunner({ lookup, record, leave }: Kept) {
  const used = new Map<string, number>()
  const waiting = new Set<(reason: unknown) => void>()
  let underway = 0

  function counted(given: string): string {
    const times = (used.get(given) ?? 0) + 1
    used.set(given, times)
    return times === 1 ? given : `${given}#${times}`
  }

  async function during<T>(part: () => Promise<T>): Promise<T> {
    underway++
    try {
      return await part()
    } finally {
      underway--
      if (waiting.size > 0) setImmediate(leaveWhenIdle)
    }
  }

  function run<T>(given: string, fn: () => T | Promise<T>): Promise<T> {
    const name = counted(given)
    return during(async () => {
      const { found, result } = await lookup(name)
      return (found ? result : await record(name, await fn())) as T
    })
  }

  /**
   * Answers a wait that is over. Else the handler is left, but not before everything beside it has
   * settled: in a race of two waits the one that is over has to win.
   */
  async function pause(call: () => Promise<Suspendable>): Promise<unknown> {
    const answer = await during(call)
    if (answer.over) return answer.result
    return new Promise((_resolve, reject) => {
      waiting.add(reject)
      setImmediate(leaveWhenIdle)
    })
  }

  function leaveWhenIdle(): void {
    if (underway > 0 || waiting.size === 0) return
    const reason = leave()
    for (const reject of waiting) reject(reason)
    waiting.clear()
  }
  return { run, pause, counted }
}
