/** How often a child is asked within the time it may be silent. */
const BEATS = 4

interface HeartbeatOptions {
  /** Milliseconds of silence that are too many; 0 asks nothing. */
  limit: number
  /** When the child was last heard, by `performance.now()`. */
  heard(): number
  ping(): Promise<unknown>
  silent(): void
}

/** Asks a working child now and then whether it is there. Answers what stops that. */
export function startHeartbeat({ limit, heard, ping, silent }: HeartbeatOptions): () => void {
  if (limit === 0) return () => {}
  const began = performance.now()
  const timer = setInterval(() => {
    if (performance.now() - Math.max(began, heard()) >= limit) silent()
    else ping().catch(() => {})
  }, limit / BEATS)
  return () => clearInterval(timer)
}
