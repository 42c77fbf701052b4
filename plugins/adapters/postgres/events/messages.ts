import type { StreamMessage } from '../../../../kernel/index.ts'
import { decodeJson, encodeJson } from '../../../lib/json.ts'
import { quoteName, type PostgresPort } from '../lib/postgres.ts'
import { MAX_NOTIFICATION } from './wake-ups.ts'

type Deliver = (stream: string, messages: readonly StreamMessage[]) => void

/** How long a message that is too large for a notification stays in the table, in milliseconds. */
const KEPT_FOR = 60_000

/** Milliseconds between two reports of ignored notifications. */
const REPORT_EVERY = 60_000

/**
 * Sends messages that are not part of the history. The payload of the notification is one of:
 *
 *     m<JSON>   the messages of one stream
 *     r<id>     a reference to a row of `nq_message`, for messages that are too large for a notification
 */
export function createMessenger(db: PostgresPort, channel: string) {
  const s = quoteName(db.schema)
  let reportedAt = -Infinity

  return {
    async send(stream: string, messages: readonly StreamMessage[]): Promise<void> {
      const text = encodeJson({ stream, messages })
      if (Buffer.byteLength(text) < MAX_NOTIFICATION) {
        await db.query('SELECT pg_notify($1, $2)', [channel, `m${text}`])
        return
      }
      const store = `WITH old AS (DELETE FROM ${s}.nq_message WHERE at < now() - ${KEPT_FOR} * interval '1 ms'),
          kept AS (INSERT INTO ${s}.nq_message (messages) VALUES ($2) RETURNING id)
        SELECT pg_notify($1, 'r' || id) FROM kept`
      await db.query(store, [channel, text])
    },
    /** Delivers the messages of a notification. Resolves with false if the notification is not a message. */
    async receive(payload: string, deliver: Deliver): Promise<boolean> {
      const kind = payload[0]
      if (kind !== 'm' && kind !== 'r') return false
      try {
        const text = kind === 'm' ? payload.slice(1) : await load(payload.slice(1))
        if (text === undefined) return true
        const { stream, messages } = parse(text)
        deliver(stream, messages)
      } catch (error) {
        ignore(payload, error)
      }
      return true
    },
  }

  /** Reports an invalid notification. Every user of the database may send notifications on the channel. */
  function ignore(payload: string, error: unknown): void {
    const now = performance.now()
    if (now - reportedAt < REPORT_EVERY) return
    reportedAt = now
    const shown = JSON.stringify(payload.slice(0, 80))
    const hint = 'Only nuxt-queue should send on that channel.'
    const message = `A notification on channel "${channel}" was ignored, because it is not a valid message: ${shown}.`
    db.reporter.warn(`${message} ${hint}`, error)
  }

  async function load(id: string): Promise<string | undefined> {
    if (!/^\d{1,18}$/.test(id)) throw new TypeError('The notification does not refer to a stored message.')
    const text = `SELECT messages FROM ${s}.nq_message WHERE id = $1`
    return (await db.query<{ messages: string }>(text, [id], { repeatable: true }))[0]?.messages
  }
}

/** @throws TypeError or SyntaxError if the text was not written by `send` */
function parse(text: string): { stream: string; messages: StreamMessage[] } {
  const { stream, messages } = (decodeJson(text) ?? {}) as { stream?: unknown; messages?: unknown }
  if (typeof stream === 'string' && Array.isArray(messages) && messages.every(isMessage)) return { stream, messages }
  throw new TypeError('The notification does not contain a stream and messages.')
}

function isMessage(value: unknown): value is StreamMessage {
  return typeof (value as Partial<StreamMessage> | null)?.type === 'string'
}
