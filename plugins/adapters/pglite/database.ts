import { readFileSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import { join } from 'pathe'
import { QueueError, type Reporter } from '../../../kernel/index.ts'
import { programFile } from '../../lib/package-files.ts'
import { storeError } from '../postgres/lib/failure.ts'
import type { PostgresPort } from '../postgres/lib/postgres.ts'
import type { FromThread, ThreadData, ToThread } from './protocol.ts'

const THREAD = programFile('plugins/adapters/pglite/thread')
/** How long to wait before a dead thread is started again, in milliseconds. */
const RESTART_DELAY = 200

/** A request to the thread whose response has not come yet. */
interface PendingRequest {
  message: ToThread
  repeatable: boolean
  onRepeat?: () => void
  resolve(rows: never[]): void
  reject(error: unknown): void
}

interface Channel {
  onNotify: (payload: string) => void
  onReconnect: () => void
}

interface Database extends Pick<PostgresPort, 'query' | 'listen' | 'caughtUp'> {
  close(): Promise<void>
}

/**
 * Opens a database in a worker thread. If the thread dies, it is started again: requests that are `repeatable` are sent
 * again, and all others fail with `ECONNRESET`.
 *
 * @throws QueueError `STORE_INCOMPATIBLE` if another version of PostgreSQL created the folder, `STORE_REFUSED` if the database cannot be
 *   opened
 */
export async function openDatabase(data: ThreadData, reporter: Reporter): Promise<Database> {
  const pending = new Map<number, PendingRequest>()
  const channels = new Map<string, { listeners: Set<Channel>; opened: Promise<unknown> }>()
  let ids = 0
  let closing = false
  let thread: Worker | undefined

  async function start(workerData: ThreadData): Promise<Worker> {
    const started = new Worker(THREAD, { workerData, execArgv: [] })
    const ready = Promise.withResolvers<void>()
    started.on('message', (message: FromThread) => {
      if (message.type === 'ready') ready.resolve()
      else if (message.type === 'failed') ready.reject(failure(workerData.dataDir, message))
      else receive(message)
    })
    started.on('error', (error) => {
      ready.reject(failure(workerData.dataDir, error, error))
      if (!closing) reporter.error('The embedded database died. It is being restarted.', error)
    })
    started.on('exit', (code) => {
      ready.reject(failure(workerData.dataDir, { message: `Its thread ended with code ${code}` }))
      if (started === thread && !closing) void restart()
    })
    try {
      await ready.promise
      return started
    } catch (error) {
      await started.terminate()
      throw error
    }
  }

  /** Starts a new thread, and sends or rejects the pending requests of the dead one. */
  async function restart(): Promise<void> {
    for (const { message, repeatable } of pending.values()) {
      if (!repeatable) fail(message.id, Object.assign(new Error('The embedded database died.'), { code: 'ECONNRESET' }))
    }
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, RESTART_DELAY))
      if (closing) return
      try {
        thread = await start({ ...data, fresh: false })
        break
      } catch (error) {
        reporter.error('The embedded database could not be restarted. The restart is tried again.', error)
      }
    }
    for (const channel of channels.keys()) send({ id: ++ids, text: '', listen: channel }, true).catch(() => {})
    for (const { message, onRepeat } of pending.values()) {
      onRepeat?.()
      thread.postMessage(message)
    }
    for (const { listeners } of channels.values()) {
      for (const { onReconnect } of listeners) callSafely(onReconnect)
    }
  }

  function receive(message: FromThread): void {
    if (message.type === 'notification') {
      for (const { onNotify } of channels.get(message.channel)?.listeners ?? [])
        callSafely(() => onNotify(message.payload))
    } else if (message.type === 'rows') {
      pending.get(message.id)?.resolve(message.rows as never[])
      pending.delete(message.id)
    } else if (message.type === 'error') {
      const { message: text, ...members } = message.error
      fail(message.id, Object.assign(new Error(text), members))
    }
  }

  function fail(id: number, error: Error): void {
    const request = pending.get(id)
    pending.delete(id)
    request?.reject(storeError(error, request.message.text, 1))
  }

  function callSafely(call: () => void): void {
    try {
      call()
    } catch (error) {
      reporter.error('A listener of the database failed.', error)
    }
  }

  function send<Row>(message: ToThread, repeatable: boolean, onRepeat?: () => void): Promise<Row[]> {
    return new Promise((resolve, reject) => {
      if (closing) {
        reject(new Error('The embedded database is closed.'))
        return
      }
      pending.set(message.id, { message, repeatable, onRepeat, resolve, reject })
      thread!.postMessage(message)
    })
  }

  const query: PostgresPort['query'] = (text, values, { repeatable = false, onRepeat } = {}) =>
    send({ id: ++ids, text, values }, repeatable, onRepeat)

  thread = await start(data)
  return {
    query,
    async listen(channel: string, onNotify: Channel['onNotify'], onReconnect: Channel['onReconnect']) {
      const listener = { onNotify, onReconnect }
      let open = channels.get(channel)
      if (!open) {
        open = { listeners: new Set(), opened: send({ id: ++ids, text: '', listen: channel }, true) }
        channels.set(channel, open)
      }
      const { listeners, opened } = open
      listeners.add(listener)
      await opened
      return async () => void listeners.delete(listener)
    },
    /** The thread sends notifications in order, so all earlier ones arrive before the result of this query. */
    caughtUp: async () => void (await query('SELECT 1', undefined, { repeatable: true })),
    async close(): Promise<void> {
      const ended = new Promise((resolve) => thread!.once('exit', resolve))
      closing = true
      thread!.postMessage('close')
      await ended
    },
  }
}

/** The error for a database that cannot be opened. `version` is the version of PostgreSQL that this PGlite contains. */
function failure(
  dataDir: string,
  { message, version }: { message: string; version?: string },
  cause?: unknown,
): QueueError {
  const stored = version === undefined ? undefined : versionOf(dataDir)
  if (stored !== undefined && stored !== version) {
    const hint =
      'Install the version of @electric-sql/pglite that created it, run "nuxt-queue export --all", and import that file into a new folder.'
    const found = `The embedded database in ${dataDir} was created by PostgreSQL ${stored}, and this PGlite contains PostgreSQL ${version}.`
    return new QueueError('STORE_INCOMPATIBLE', `${found} ${hint}`)
  }
  const hint = 'Restore the folder from a backup, or use another one.'
  const failed = `The embedded database in ${dataDir} cannot be opened: ${message}.`
  return new QueueError('STORE_REFUSED', `${failed} ${hint}`, { cause })
}

function versionOf(dataDir: string): string | undefined {
  try {
    return readFileSync(join(dataDir, 'PG_VERSION'), 'utf8').trim()
  } catch {
    return undefined
  }
}
