import { timerDelay } from '../../../../kernel/index.ts'

/** How many heartbeats are sent within the time that a child may be silent. */
const HEARTBEATS_PER_LIMIT = 4

interface HeartbeatOptions {
  /** How many milliseconds a child may be silent. 0 turns heartbeats off. */
  limit: number
  /** Returns when the current job started, by `performance.now()`, or `undefined` without a job. */
  busySince(): number | undefined
  /** Returns when the child last sent anything, by `performance.now()`. */
  lastHeard(): number
  ping(): Promise<unknown>
  /** Called when the child has been silent for too long. */
  onSilent(): void
}

/**
 * Sends heartbeats to a child while it runs a job. Silence counts only if this process was able to send and receive in
 * time. After a pause of this process (a sleeping laptop, a debugger, a busy loop) it sends a heartbeat first. Returns
 * a function that stops the heartbeats.
 */
export function startHeartbeat({ limit, busySince, lastHeard, ping, onSilent }: HeartbeatOptions): () => void {
  if (limit === 0) return () => {}
  const beat = timerDelay(limit / HEARTBEATS_PER_LIMIT)
  let lastCheck = performance.now()
  let checksInTime = 0
  const timer = setInterval(() => {
    const now = performance.now()
    checksInTime = now - lastCheck > 2 * beat ? 0 : checksInTime + 1
    lastCheck = now
    const since = busySince()
    if (since === undefined) return
    if (checksInTime > 1 && now - Math.max(since, lastHeard()) >= limit) onSilent()
    else ping().catch(() => {})
  }, beat).unref()
  return () => clearInterval(timer)
}
