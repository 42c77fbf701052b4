import type { Kernel, StreamMessage } from '../../../kernel/index.ts'

/** The message type of a question. It is published to the stream of a run, and processes that follow the run reply. */
export const QUESTION = '_who'
/** The stream of all replies. */
const REPLIES = '_presence'
/** How many milliseconds other processes have to reply. */
const REPLY_TIMEOUT = 200
/** Up to this age in milliseconds, a result is used directly. */
const MAX_AGE = 1_000
/** Up to this age in milliseconds, a result is used while a new one is fetched. */
const USABLE = 10_000
/** How many runs are cached. */
const MAX_RUNS = 1_000

interface CachedResult {
  value: boolean
  at: number
  refreshing?: Promise<boolean>
}

/**
 * Finds out whether another process follows a run. The processes do not know each other, so a question goes to the
 * stream of the run, which reaches all processes that follow it. No reply means that no process follows it.
 */
export function createPresence(kernel: Kernel, followedHere: (runId: string) => boolean) {
  const cache = new Map<string, CachedResult>()
  const openQuestions = new Map<string, (value: boolean) => void>()
  const { clock } = kernel
  let listening: Promise<() => void> | undefined
  let closed = false

  function listen(): Promise<() => void> {
    const onMessage = ({ data }: StreamMessage): void =>
      openQuestions.get((data as { question: string }).question)?.(true)
    const subscribed = Promise.resolve(kernel.port('events').subscribe(REPLIES, { onMessage }, () => {}))
    // The next question subscribes again.
    subscribed.catch(() => (listening = undefined))
    return subscribed
  }

  async function askOthers(runId: string): Promise<boolean> {
    await (listening ??= listen())
    const id = kernel.newId()
    const reply = Promise.withResolvers<boolean>()
    openQuestions.set(id, reply.resolve)
    const stop = clock.setTimeout(() => reply.resolve(false), REPLY_TIMEOUT)
    try {
      await kernel.port('events').publish(runId, [{ type: QUESTION, data: { question: id } }])
      return await reply.promise
    } finally {
      stop()
      openQuestions.delete(id)
    }
  }

  function refresh(runId: string, cached: CachedResult): Promise<boolean> {
    cached.refreshing ??= askOthers(runId)
      .then((value) => {
        cached.at = clock.now()
        return (cached.value = value)
      })
      .finally(() => (cached.refreshing = undefined))
    return cached.refreshing
  }

  function cachedResult(runId: string): CachedResult {
    const cached = cache.get(runId) ?? { value: false, at: -Infinity }
    cache.set(runId, cached)
    if (cache.size > MAX_RUNS) cache.delete(cache.keys().next().value!)
    return cached
  }

  return {
    async ask(runId: string): Promise<boolean> {
      if (followedHere(runId)) return true
      if (closed || !kernel.port('events').capabilities.shared) return false
      const cached = cachedResult(runId)
      const age = clock.now() - cached.at
      if (age < MAX_AGE) return cached.value
      const refreshed = refresh(runId, cached)
      if (age > USABLE) return refreshed
      // After a failure, the next call asks again.
      refreshed.catch(() => {})
      return cached.value
    },
    /** Replies to the question of another process if this process follows the run. */
    reply(runId: string, { data }: StreamMessage): void {
      if (!followedHere(runId)) return
      Promise.resolve(kernel.port('events').publish(REPLIES, [{ type: '_here', data }])).catch(() => {})
    },
    close(): void {
      closed = true
      for (const resolve of openQuestions.values()) resolve(false)
      void listening?.then((stop) => stop()).catch(() => {})
    },
  }
}
