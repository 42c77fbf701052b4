/** The state of something a handler can wait for: finished, or pending until a time in epoch milliseconds. */
export type PauseState = { over: true; result?: unknown } | { over: false; until: number }

/** Returns the finished state. Omits `result` if it is `undefined`, so that it is not stored. */
export function over(result: unknown): PauseState {
  return result === undefined ? { over: true } : { over: true, result }
}
