import type { Reporter } from '../../../../kernel/index.ts'
import { watchOutage } from '../../../lib/outage.ts'
import { unavailable, type Outage } from '../lib/redis.ts'

export interface OutageWatch extends Outage {
  /** The connection was lost. */
  lost(error: Error): void
  /** The connection is there again. */
  connected(): void
  close(): void
}

/**
 * Knows whether Redis takes calls, and why not. A client that connects anew ends an outage of the connection; one of a
 * server that refuses calls ends with a call that it takes.
 *
 * well ── lost ──▶ away ── connected ──▶ well
 * well ── refused ──▶ refuses ── accepted ──▶ well
 */
export function watchOutages(where: string, reporter: Reporter): OutageWatch {
  const closing = new AbortController()
  let state: 'well' | 'away' | 'refuses' = 'well'
  let reason: OutageWatch['reason']
  const reports = watchOutage({
    away(error) {
      const lost = `The connection to Redis at ${where} was lost; waiting for it to come back.`
      const refused = `Redis at ${where} refuses calls: ${reason?.message}`
      reporter.error(state === 'away' ? lost : refused, error)
    },
    back: () => reporter.warn(`Redis at ${where} is back.`),
  })

  function begin(next: 'away' | 'refuses', error: Error): void {
    if (closing.signal.aborted) return
    if (state === 'well') {
      state = next
      reason = unavailable(error)
    }
    reports.failed(error)
  }

  function end(): void {
    state = 'well'
    reason = undefined
    reports.worked()
  }

  return {
    get reason() {
      return reason
    },
    lost: (error) => begin('away', error),
    connected() {
      if (state === 'away') end()
    },
    refused: (error) => begin('refuses', error),
    accepted: end,
    async pause(ms) {
      const { signal } = closing
      const over = Promise.withResolvers<void>()
      const timer = setTimeout(over.resolve, ms)
      signal.addEventListener('abort', () => over.resolve(), { once: true })
      if (!signal.aborted) await over.promise
      clearTimeout(timer)
      if (signal.aborted) throw unavailable(new Error('Its connection is closed.'))
    },
    close: () => closing.abort(),
  }
}
