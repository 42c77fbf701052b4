import { timerDelay } from '../../../../kernel/index.ts'
import type { Redis } from 'ioredis'
import type { RedisClient, RedisPort } from '../lib/redis.ts'

/** How long, in seconds, one look for work blocks: the longest that a wake-up which was lost delays a job. */
const BLOCK_SECONDS = 2
/** Milliseconds before blocking is tried again after a failure. */
const RETRY = 500

/**
 * Wakes a consumer that found nothing to do: when a job comes, which BullMQ tells by a marker that
 * the first who waits for it takes, when one falls due, or after a while in any case.
 */
export function createWaker(redis: RedisPort, base: string, wake: () => void) {
  const marker = `${base}:marker`
  let connection: RedisClient | undefined
  let waiting = false
  let blocking = false
  let stopped = false
  let timer: NodeJS.Timeout | undefined

  function woken(): void {
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
        if (stopped || waiting) woken()
        // Busy meanwhile: somebody else may have the time.
        else if (popped) await redis.client.zadd(marker, popped[2], popped[1])
      }
    } catch {
      if (!stopped) setTimeout(woken, RETRY)
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
    /** Waits for work; `due` milliseconds from now there is some. */
    wait(due: number): void {
      if (stopped) return
      waiting = true
      clearTimeout(timer)
      if (due !== Infinity) timer = setTimeout(woken, timerDelay(Math.ceil(due)))
      void block()
    },
    stop(): void {
      stopped = true
      clearTimeout(timer)
      connection?.disconnect()
    },
  }
}
