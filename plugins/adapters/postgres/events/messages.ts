import type { StreamMessage } from '../../../../kernel/index.ts'
import { decodeJson, encodeJson } from '../../../lib/json.ts'
import { quoteName, type PostgresPort } from '../lib/postgres.ts'
import { LARGEST_NOTIFICATION } from './wake-ups.ts'

type Hand = (stream: string, messages: readonly StreamMessage[]) => void

/** How long a message that was too large for a notification stays, in milliseconds. */
const KEPT_FOR = 60_000

/** Milliseconds between two reports of what was ignored. */
const REPORT_EVERY = 60_000

/** Sends messages that are stored nowhere: in a notification, or by reference to a row that is soon gone. */
export function createMessenger(db: PostgresPort, channel: string) {
  const s = quoteName(db.schema)
  let reportedAt = -Infinity

  return {
    async send(stream: string, messages: readonly StreamMessage[]): Promise<void> {
      const text = encodeJson({ stream, messages })
      if (Buffer.byteLength(text) < LARGEST_NOTIFICATION) {
        await db.query('SELECT pg_notify($1, $2)', [channel, `m${text}`])
        return
      }
      const store = `WITH old AS (DELETE FROM ${s}.nq_message WHERE at < now() - ${KEPT_FOR} * interval '1 ms'),
          kept AS (INSERT INTO ${s}.nq_message (messages) VALUES ($2) RETURNING id)
        SELECT pg_notify($1, 'r' || id) FROM kept`
      await db.query(store, [channel, text])
    },
    /** Hands messages on. False for a notification that is something else. */
    async receive(payload: string, hand: Hand): Promise<boolean> {
      const kind = payload[0]
      if (kind !== 'm' && kind !== 'r') return false
      try {
        const text = kind === 'm' ? payload.slice(1) : await load(payload.slice(1))
        if (text === undefined) return true
        const { stream, messages } = parse(text)
        hand(stream, messages)
      } catch (error) {
        ignore(payload, error)
      }
      return true
    },
  }

  /** Whoever may connect may notify, so anything may come. */
  function ignore(payload: string, error: unknown): void {
    const now = performance.now()
    if (now - reportedAt < REPORT_EVERY) return
    reportedAt = now
    const shown = JSON.stringify(payload.slice(0, 80))
    const hint = 'Only nuxt-queue should send on that channel.'
    db.reporter.warn(`A notification on channel "${channel}" is no message and was ignored: ${shown}. ${hint}`, error)
  }

  async function load(id: string): Promise<string | undefined> {
    if (!/^\d{1,18}$/.test(id)) throw new TypeError('It names no stored message.')
    const text = `SELECT messages FROM ${s}.nq_message WHERE id = $1`
    return (await db.query<{ messages: string }>(text, [id], { repeatable: true }))[0]?.messages
  }
}

/** @throws TypeError or SyntaxError for what `send` has not written */
function parse(text: string): { stream: string; messages: StreamMessage[] } {
  const { stream, messages } = (decodeJson(text) ?? {}) as { stream?: unknown; messages?: unknown }
  if (typeof stream === 'string' && Array.isArray(messages) && messages.every(isMessage)) return { stream, messages }
  throw new TypeError('It holds no stream and messages.')
}

function isMessage(value: unknown): value is StreamMessage {
  return typeof (value as Partial<StreamMessage> | null)?.type === 'string'
}
