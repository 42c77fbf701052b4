/** How something that may wait stands, for those who have to be told. */
export type Suspendable = { over: true; result?: unknown } | { over: false; until: number }

/** Without a result that is none, which would have to be written down as such. */
export function over(result: unknown): Suspendable {
  return result === undefined ? { over: true } : { over: true, result }
}
