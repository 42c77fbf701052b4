/** The worker thread of the database. PGlite runs in WebAssembly and would block the main thread. */
import { parentPort, workerData } from 'node:worker_threads'
import { PGlite } from '@electric-sql/pglite'
import type { FromThread, ThreadData, ToThread } from './protocol.ts'
import { readPrepared } from './prepared.ts'

const port = parentPort!
const { dataDir, fresh } = workerData as ThreadData
const INT8 = 20

async function open(): Promise<PGlite> {
  const loadDataDir = fresh ? await readPrepared() : undefined
  // 8-byte integers are returned as strings, like `pg` does, because a JavaScript number cannot hold all of them.
  const db = new PGlite({ dataDir, loadDataDir, parsers: { [INT8]: (value) => value } })
  await db.waitReady
  return db
}

/** Returns the major version of PostgreSQL that PGlite contains, such as `17`, or `undefined` if PGlite does not run at all. */
async function postgresVersion(): Promise<string | undefined> {
  try {
    await using empty = new PGlite()
    const { rows } = await empty.query<{ server_version: string }>('SHOW server_version')
    return rows[0]!.server_version.split('.')[0]
  } catch {
    return undefined
  }
}

function respond(message: FromThread): void {
  port.postMessage(message)
}

/** Runs one request. The database has a single connection, so requests run one after the other. */
async function run(db: PGlite, { id, text, values, listen }: ToThread): Promise<void> {
  try {
    if (listen !== undefined) {
      await db.listen(listen, (payload) => respond({ type: 'notification', channel: listen, payload }))
      respond({ type: 'rows', id, rows: [] })
    } else if (values) {
      const { rows } = await db.query<Record<string, unknown>>(text, values as unknown[])
      respond({ type: 'rows', id, rows })
    } else {
      const results = await db.exec(text)
      respond({ type: 'rows', id, rows: results.flatMap(({ rows }) => rows) })
    }
  } catch (error) {
    // A failed request of several statements may have left a transaction open on the shared connection.
    if (!values) await db.exec('ROLLBACK').catch(() => {})
    const { message, code, detail, constraint, severity } = error as Error & Record<string, string | undefined>
    respond({ type: 'error', id, error: { message, code, detail, constraint, severity } })
  }
}

let db: PGlite
let queue = open().then(
  (opened) => {
    db = opened
    respond({ type: 'ready' })
  },
  async (error: unknown) =>
    respond({ type: 'failed', message: (error as Error).message, version: await postgresVersion() }),
)
port.on('message', (message: ToThread | 'close') => {
  queue = queue.then(async () => {
    if (message !== 'close') return run(db, message)
    await db?.close()
    port.close()
  })
})
