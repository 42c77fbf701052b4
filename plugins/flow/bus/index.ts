import {
  assertFree,
  checkKeys,
  checkText,
  definePlugin,
  fitText,
  type EnqueuedJob,
  type SqlClient,
} from '../../../kernel/index.ts'
import { checkFunction } from '../../lib/check-options.ts'
import { copyValue } from '../../lib/value.ts'

/** An event that does not belong to a run, as listeners receive it. */
export interface BusEvent {
  /** Two events with the same id are the same event. */
  id: string
  name: string
  /** The subject of the event, such as the number of an order. `''` if the sender passed none. */
  key: string
  payload: unknown
  /** Text that travels with the event, such as the context of a trace. Absent if there is none. */
  headers?: Readonly<Record<string, string>>
  /** The moment at which it was sent, in milliseconds since the epoch. */
  at: number
}

export interface SendOptions {
  /** Sending the same id twice has the effect of sending it once. Default: a new id. */
  id?: string
  /** The subject of the event. Waits for this event and key receive it. Default `''`. */
  key?: string
  /** Text that travels with the event, by name, like the headers of a job. Default: none. */
  headers?: Readonly<Record<string, string>>
  /**
   * Sends the event in the caller's transaction: a rollback discards it. For adapters with the capability
   * `transaction`.
   */
  db?: SqlClient
}

/** @param how `again` is true if the listener may have received this event before */
type BusListener = (event: Readonly<BusEvent>, how: { again: boolean }) => Promise<void>

const OPTIONS = ['id', 'key', 'headers', 'db']

declare module 'nuxt-queue/kernel' {
  interface Kernel {
    /**
     * Sends an event to the waits and triggers that match it, with one durable write. Once the promise resolves, the
     * event reaches them even if this process dies.
     *
     * @throws QueueError `OPTION_INVALID`, `OPTION_UNSUPPORTED`, `VALUE_UNSUPPORTED`, `PAYLOAD_TOO_LARGE`; `NAME_RESERVED`
     * for a name that plugins use among themselves, such as `flow.ended`
     * @example
     * await kernel.sendEvent('payment.received', { order: 7 }, { key: '7' })
     */
    sendEvent(name: string, payload?: unknown, options?: SendOptions): Promise<EnqueuedJob>
    /**
     * For plugins: registers a listener for every event. It is called in a job that is retried until all listeners have
     * succeeded. A listener may therefore receive an event again, and must handle that safely.
     */
    onEvent(listener: BusListener): void
  }
  interface PluginKernel {
    /** Like `sendEvent`, for names that are reserved for plugins. */
    sendReserved: Kernel['sendEvent']
  }
}

const BUS_QUEUE = '_bus'
const DELIVER = '_bus/deliver'

/** Delivers events from their senders to the plugins that handle them. */
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
      async handler({ data, attempt, headers }, { claim }) {
        const again = claim > 1 || attempt > 1
        const event = { ...(data as BusEvent), ...(Object.keys(headers).length > 0 && { headers }) }
        for (const listener of listeners) await listener(event, { again })
      },
    })

    async function send(name: string, payload?: unknown, options: SendOptions = {}): Promise<EnqueuedJob> {
      checkKeys(`Event "${name}"`, options, OPTIONS)
      const { id, key = '', headers, db } = options
      if (id !== undefined) checkText(`Option "id" of event "${name}"`, id)
      if (key !== '') checkText(`Option "key" of event "${name}"`, key)
      const copy = copyValue(payload, kernel.config.payloadLimit, `payload of event "${name}"`)
      const event: BusEvent = { id: id ?? kernel.newId(), name, key, payload: copy, at: kernel.clock.now() }
      // The queue remembers explicit ids for longer than its own, so a generated id, which is never repeated, is not passed on.
      return kernel.enqueue(DELIVER, event, {
        ...(id !== undefined && { id: fitText(`${name}.${id}`) }),
        ...(headers && { headers }),
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
      onEvent: (listener) => void listeners.push(checkFunction('The listener of onEvent()', listener)),
    })
  },
})
