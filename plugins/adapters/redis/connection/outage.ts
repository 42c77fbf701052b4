import type { Reporter } from '../../../../kernel/index.ts'
import { watchOutage } from '../../../lib/outage.ts'
import { unavailable, type RedisOutage } from '../lib/redis.ts'

export interface OutageWatch extends RedisOutage {
  /** Call this when the connection was lost. */
  lost(error: Error): void
  /** Call this when the connection is ready again. */
  connected(): void
  close(): void
}

/**
 * Tracks whether Redis accepts calls, and why not. If the connection was lost, the outage ends when the client has reconnected. If
 * the server refuses calls, the outage ends when it accepts one.
 *
 *     available ── lost() ─────> disconnected ── connected() ──> available
 *     available ── refused() ──> refusing ────── accepted() ──> available
 */
export function watchOutages(where: string, reporter: Reporter): OutageWatch {
  const closing = new AbortController()
  let state: 'available' | 'disconnected' | 'refusing' = 'available'
  let reason: OutageWatch['reason']
  const reports = watchOutage({
    away(error) {
      const lost = `The connection to Redis at ${where} was lost. Calls wait until it is back.`
      const refused = `Redis at ${where} refuses calls: ${reason?.message}`
      reporter.error(state === 'disconnected' ? lost : refused, error)
    },
    back: () => reporter.warn(`Redis at ${where} is back.`),
  })

  function begin(next: 'disconnected' | 'refusing', error: Error): void {
    if (closing.signal.aborted) return
    if (state === 'available') {
      state = next
      reason = unavailable(error)
    }
    reports.failed(error)
  }

  function end(): void {
    state = 'available'
    reason = undefined
    reports.worked()
  }

  return {
    get reason() {
      return reason
    },
    lost: (error) => begin('disconnected', error),
    connected() {
      if (state === 'disconnected') end()
    },
    refused: (error) => begin('refusing', error),
    accepted: end,
    async pause(ms) {
      const { signal } = closing
      const waited = Promise.withResolvers<void>()
      const timer = setTimeout(waited.resolve, ms)
      signal.addEventListener('abort', () => waited.resolve(), { once: true })
      if (!signal.aborted) await waited.promise
      clearTimeout(timer)
      if (signal.aborted) throw unavailable(new Error('The connection was closed.'))
    },
    close: () => closing.abort(),
  }
}
