import { tracingChannel } from 'node:diagnostics_channel'
import type { MaybePromise } from '../contracts/index.ts'

const open = (name: string) => tracingChannel<unknown, object>(`nuxt-queue:${name}`)

/** The channels that diagnostic tools subscribe to: `tracing:nuxt-queue:enqueue:start` and so on. The README lists the messages. */
export const channels = { enqueue: open('enqueue'), dispatch: open('dispatch'), append: open('append') }

/** Runs an operation, and publishes its start and its end. Callers check `hasSubscribers` first, because the check costs nothing. */
export function traced<T>(channel: ReturnType<typeof open>, message: object, run: () => MaybePromise<T>): Promise<T> {
  return channel.tracePromise(async () => run(), message)
}
