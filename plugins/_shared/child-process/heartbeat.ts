/** How often a child is asked within the time it may be silent. */
const BEATS = 4

interface HeartbeatOptions {
  /** Milliseconds of silence that are too many; 0 asks nothing. */
  limit: number
  /** Since when a job runs, by `performance.now()`; `undefined` while none does. */
  busySince(): number | undefined
  /** When the child was last heard. */
  heard(): number
  ping(): Promise<unknown>
  silent(): void
}

/** Asks a child that works now and then whether it is there. Answers what stops that. */
export function startHeartbeat({ limit, busySince, heard, ping, silent }: HeartbeatOptions): () => void {
  if (limit === 0) return () => {}
  const timer = setInterval(() => {
    const since = busySince()
    if (since === undefined) return
    if (performance.now() - Math.max(since, heard()) >= limit) silent()
    else ping().catch(() => {})
  }, limit / BEATS).unref()
  return () => clearInterval(timer)
}
