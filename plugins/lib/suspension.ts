/** The state of something a handler can wait for: finished, or pending until a time in epoch milliseconds. */
export type Suspendable = { over: true; result?: unknown } | { over: false; until: number }

/** Returns the finished state. Omits `result` if it is `undefined`, so that it is not stored. */
export function over(result: unknown): Suspendable {
  return result === undefined ? { over: true } : { over: true, result }
}
