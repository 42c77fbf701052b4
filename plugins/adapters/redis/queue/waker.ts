import { timerDelay } from '../../../../kernel/index.ts'
import type { Redis } from 'ioredis'
import type { RedisClient, RedisPort } from '../lib/redis.ts'

/** How long one blocking command waits for a job, in seconds. A lost wake-up delays a job at most this long. */
const BLOCK_SECONDS = 2
/** How long to wait after a failed blocking command, in milliseconds. */
const RETRY = 500

/**
 * Creates the waker of a consumer. It wakes the consumer when a job arrives, when a delayed job is due, and after two seconds in any
 * case. BullMQ signals a new job with a marker, which the first waiting consumer takes.
 *
 *     idle ── wait(due) ──> waiting ── marker, due, block ended ──> wake() ──> idle
 */
export function createWaker(redis: RedisPort, base: string, wake: () => void) {
  const marker = `${base}:marker`
  let connection: RedisClient | undefined
  let waiting = false
  let blocking = false
  let stopped = false
  let timer: NodeJS.Timeout | undefined

  function onWake(): void {
    clearTimeout(timer)
    if (!waiting || stopped) return
    waiting = false
    wake()
  }

  async function block(): Promise<void> {
    if (blocking) return
    blocking = true
    try {
      connection ??= open()
      for (;;) {
        if (!waiting || stopped) return
        const popped = await (connection as Redis).bzpopmin(marker, BLOCK_SECONDS)
        if (stopped || waiting) onWake()
        // This consumer is busy now, so it puts the marker back for another consumer.
        else if (popped) await redis.client.zadd(marker, popped[2], popped[1])
      }
    } catch {
      if (!stopped) setTimeout(onWake, RETRY)
    } finally {
      blocking = false
    }
  }

  function open(): RedisClient {
    const opened = redis.connect()
    opened.connect().catch(() => {})
    return opened
  }

  return {
    /** Waits for a job. The next delayed job is due in `due` milliseconds. */
    wait(due: number): void {
      if (stopped) return
      waiting = true
      clearTimeout(timer)
      if (due !== Infinity) timer = setTimeout(onWake, timerDelay(Math.ceil(due)))
      void block()
    },
    stop(): void {
      stopped = true
      clearTimeout(timer)
      connection?.disconnect()
    },
  }
}
