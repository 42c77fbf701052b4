import type { StoredEvent } from '../../../kernel/index.ts'
import { subscribe, type SubscribeOptions } from './subscribe.ts'

/**
 * Yields the events of a stream as they arrive, until the run ends. Leaving the loop closes the stream. With `sse`, the
 * client reads from the server only as fast as the loop runs.
 *
 * @throws QueueClientError on an error that a reconnection cannot fix
 * @example
 * for await (const event of follow(`/_queue/api/runs/${runId}/stream`)) console.log(event.type)
 */
export async function* follow(
  url: string,
  options: Omit<SubscribeOptions, 'onEvent'> = {},
): AsyncGenerator<StoredEvent, void, undefined> {
  const events: StoredEvent[] = []
  let arrived = Promise.withResolvers<void>()
  let taken = Promise.withResolvers<void>()
  const subscription = subscribe(url, {
    ...options,
    onEvent(event) {
      events.push(event)
      arrived.resolve()
      return taken.promise
    },
  })
  void subscription.closed.then(() => arrived.resolve())
  try {
    for (;;) {
      await arrived.promise
      const batch = events.splice(0)
      if (batch.length === 0) break
      yield* batch
      arrived = Promise.withResolvers<void>()
      const before = taken
      taken = Promise.withResolvers<void>()
      if (subscription.status === 'ended' || subscription.status === 'failed' || subscription.status === 'closed') {
        arrived.resolve()
      }
      before.resolve()
    }
  } finally {
    subscription.close()
    taken.resolve()
  }
  if (subscription.error) throw subscription.error
}
