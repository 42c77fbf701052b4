import {
  assertFree,
  checkKeys,
  checkText,
  definePlugin,
  fitText,
  type EnqueuedJob,
  type SqlClient,
} from '../../../kernel/index.ts'
import { copyValue } from '../../lib/value.ts'

/** Something that happened outside of any run, as listeners receive it. */
export interface BusEvent {
  /** Sent again under the same id it is the same event. */
  id: string
  name: string
  /** What it is about, such as the number of an order; `''` when the sender gave none. */
  key: string
  payload: unknown
  /** Milliseconds since the epoch at which it was sent. */
  at: number
}

export interface SendOptions {
  /** Makes sending it twice the same as once. Default: one of its own. */
  id?: string
  /** What it is about: who waits for this event and this key gets it. Default `''`. */
  key?: string
  /**
   * Sends the event in the caller's transaction: rolled back, it was never sent. For adapters with the capability
   * `transaction`.
   */
  db?: SqlClient
}

/** @param how `again`: it may have been called with this event before */
type BusListener = (event: Readonly<BusEvent>, how: { again: boolean }) => Promise<void>

const OPTIONS = ['id', 'key', 'db']

declare module 'nuxt-queue/kernel' {
  interface Kernel {
    /**
     * Tells everybody who waits for an event, or starts from it, that it has happened. One durable
     * write: once it resolves, the event reaches them even if this process dies.
     *
     * @throws QueueError `OPTION_INVALID`, `OPTION_UNSUPPORTED`, `VALUE_UNSUPPORTED`, `PAYLOAD_TOO_LARGE`; `NAME_RESERVED`
     * for a name such as `flow.ended`, by which plugins tell each other what has happened
     * @example
     * await kernel.sendEvent('payment.received', { order: 7 }, { key: '7' })
     */
    sendEvent(name: string, payload?: unknown, options?: SendOptions): Promise<EnqueuedJob>
    /**
     * For plugins: called with every event, inside a job that is repeated until all listeners have
     * settled. So a listener may see an event again, and has to make that do no harm.
     */
    onEvent(listener: BusListener): void
  }
  interface PluginKernel {
    /** Like `sendEvent`, for the names that are reserved for plugins. */
    sendReserved: Kernel['sendEvent']
  }
}

const BUS_QUEUE = '_bus'
const DELIVER = '_bus/deliver'

/** Carries events from whoever sends them to the plugins that act on them. */
export default definePlugin({
  name: 'bus',
  requires: ['queue'],
  async setup(kernel) {
    const listeners: BusListener[] = []

    await kernel.registerWorker({
      id: DELIVER,
      config: {
        queue: BUS_QUEUE,
        concurrency: 10,
        attempts: 50,
        backoff: { type: 'exponential', delay: 500, maxDelay: 60_000 },
      },
      async handler({ data, attempt }, { claim }) {
        const again = claim > 1 || attempt > 1
        for (const listener of listeners) await listener(data as BusEvent, { again })
      },
    })

    async function send(name: string, payload?: unknown, options: SendOptions = {}): Promise<EnqueuedJob> {
      checkKeys(`Event "${name}"`, options, OPTIONS)
      const { id, key = '', db } = options
      if (id !== undefined) checkText(`Option "id" of event "${name}"`, id)
      if (key !== '') checkText(`Option "key" of event "${name}"`, key)
      const copy = copyValue(payload, kernel.config.payloadLimit, `payload of event "${name}"`)
      const event: BusEvent = { id: id ?? kernel.newId(), name, key, payload: copy, at: kernel.clock.now() }
      // The queue remembers ids that were given to it longer than others, so that it is given none that nobody sends again.
      return kernel.enqueue(DELIVER, event, {
        ...(id !== undefined && { id: fitText(`${name}.${id}`) }),
        ...(db && { db }),
      })
    }

    kernel.share({ sendReserved: send })
    kernel.extend({
      async sendEvent(name, payload, options) {
        checkText('The name of an event', name)
        assertFree('event', name)
        return send(name, payload, options)
      },
      onEvent: (listener) => void listeners.push(listener),
    })
  },
})
