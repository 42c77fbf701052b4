import { tracingChannel } from 'node:diagnostics_channel'

/** A channel that diagnostic tools subscribe to, like the channels of the kernel. */
export interface Channel {
  /** Whether a listener exists. Without listeners, calling `trace` is not needed. */
  readonly isHeard: boolean
  /** Runs an operation, and publishes its start and its end with the message. */
  trace<T>(message: object, run: () => T | Promise<T>): Promise<T>
}

/** Opens the channels `tracing:nuxt-queue:<name>:start` and so on. */
export function openChannel(name: string): Channel {
  const channel = tracingChannel<unknown, object>(`nuxt-queue:${name}`)
  return {
    get isHeard() {
      return channel.hasSubscribers
    },
    trace: (message, run) => channel.tracePromise(async () => run(), message),
  }
}
