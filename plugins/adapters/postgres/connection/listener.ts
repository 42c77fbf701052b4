import type { Client, PoolConfig } from 'pg'
import { toError, type Reporter } from '../../../../kernel/index.ts'
import { quoteName } from '../lib/postgres.ts'
import { within } from '../lib/within.ts'
import { dropConnection, type Pg } from './database.ts'

const FIRST_WAIT = 50
const MAX_WAIT = 2000
/** Milliseconds between heartbeats, and the time limit of each. */
const HEARTBEAT = 5000
/** How long to wait for the server to close the connection, in milliseconds. */
const CLOSE_TIMEOUT = 1000

interface Channel {
  onNotify: (payload: string) => void
  onReconnect: () => void
}

/**
 * Creates the listener: one connection with the `LISTEN`s of all channels. It connects with the first channel. If the
 * connection breaks, it reconnects and calls `onReconnect` for every channel, because notifications may have been missed.
 *
 *     closed ── listen() ──> connecting ──> current ── end, failed heartbeat ──> reopen() ─┐
 *                                              ^────────────────────────────────────────────┘
 */
export function createListener({ Client: PgClient }: Pg, config: PoolConfig, reporter: Reporter) {
  const channels = new Map<string, Set<Channel>>()
  let connecting: Promise<Client> | undefined
  let closed = false
  let heartbeat: NodeJS.Timeout | undefined

  function callSafely(call: () => void): void {
    try {
      call()
    } catch (error) {
      reporter.error('A listener of the database failed.', error)
    }
  }

  async function open(): Promise<Client> {
    const settings = { application_name: 'nuxt-queue listener', connectionTimeoutMillis: 5000, keepAlive: true }
    const client = new PgClient({ ...settings, ...config, query_timeout: HEARTBEAT })
    client.on('error', () => {})
    client.on('notification', ({ channel, payload = '' }) => {
      for (const { onNotify } of channels.get(channel) ?? []) callSafely(() => onNotify(payload))
    })
    try {
      await client.connect()
      for (const channel of channels.keys()) await client.query(`LISTEN ${quoteName(channel)}`)
    } catch (error) {
      await client.end()
      throw error
    }
    client.on('end', () => lost(client))
    return client
  }

  /** Reconnects until it succeeds, then calls `onReconnect` for every channel. */
  async function reopen(): Promise<Client> {
    for (let wait = FIRST_WAIT; ; wait = Math.min(2 * wait, MAX_WAIT)) {
      await new Promise((resolve) => setTimeout(resolve, wait * (0.5 + Math.random())))
      if (closed) throw new Error('The listener was closed.')
      try {
        const client = await open()
        for (const listeners of channels.values()) {
          for (const { onReconnect } of listeners) callSafely(onReconnect)
        }
        return client
      } catch {
        // The pool reports that the server is unavailable.
      }
    }
  }

  let current: Client | undefined
  let queries: Promise<unknown> = Promise.resolve()

  /** Runs statements one after the other on the listening connection. */
  function run(client: Client, text: string): Promise<unknown> {
    const result = queries.then(() => client.query(text))
    queries = result.catch(() => {})
    return result
  }

  function lost(client: Client): void {
    if (closed || client !== current) return
    current = undefined
    connecting = reopen().then(use)
    connecting.catch(() => {})
  }

  function use(client: Client): Client {
    current = client
    return client
  }

  function checkConnection(): void {
    const client = current
    if (!client) return
    run(client, 'SELECT 1').catch((error: unknown) => {
      client.removeAllListeners('end')
      void client.end().catch(() => toError(error))
      lost(client)
    })
  }

  async function connection(): Promise<Client> {
    if (!connecting) {
      connecting = open().then(use)
      connecting.catch(() => (connecting = undefined))
      heartbeat = setInterval(checkConnection, HEARTBEAT)
    }
    return connecting
  }

  return {
    async listen(name: string, onNotify: Channel['onNotify'], onReconnect: Channel['onReconnect']) {
      const channel = { onNotify, onReconnect }
      const listeners = channels.get(name) ?? new Set()
      listeners.add(channel)
      channels.set(name, listeners)
      const client = await connection()
      await run(client, `LISTEN ${quoteName(name)}`)
      return async () => void listeners.delete(channel)
    },
    async caughtUp(): Promise<void> {
      for (;;) {
        const client = await connection()
        try {
          // Notifications that were committed earlier arrive before the result.
          return void (await run(client, 'SELECT 1'))
        } catch (error) {
          if (closed) throw error
          lost(client)
        }
      }
    },
    async close(): Promise<void> {
      closed = true
      clearInterval(heartbeat)
      const client = current
      current = undefined
      if (!client) return
      dropConnection(client, CLOSE_TIMEOUT)
      await within(
        CLOSE_TIMEOUT,
        client.end().catch(() => {}),
      )
    },
  }
}
