import { timerDelay } from '../../../../kernel/index.ts'
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

/**
 * Asks a child that works now and then whether it is there. Silence counts only where this process has asked and
 * listened in time: after a pause of its own (a sleeping laptop, a debugger, a busy loop) it asks again first. Returns a
 * function that stops it.
 */
export function startHeartbeat({ limit, busySince, heard, ping, silent }: HeartbeatOptions): () => void {
  if (limit === 0) return () => {}
  const beat = timerDelay(limit / BEATS)
  let lookedAt = performance.now()
  let looksInTime = 0
  const timer = setInterval(() => {
    const now = performance.now()
    looksInTime = now - lookedAt > 2 * beat ? 0 : looksInTime + 1
    lookedAt = now
    const since = busySince()
    if (since === undefined) return
    if (looksInTime > 1 && now - Math.max(since, heard()) >= limit) silent()
    else ping().catch(() => {})
  }, beat).unref()
  return () => clearInterval(timer)
}
