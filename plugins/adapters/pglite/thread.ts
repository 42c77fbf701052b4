/** The thread that the database lives in: it computes in WebAssembly and would hold up everything else. */
import { parentPort, workerData } from 'node:worker_threads'
import { PGlite } from '@electric-sql/pglite'
import type { FromThread, ThreadData, ToThread } from './protocol.ts'
import { readPrepared } from './prepared.ts'

const port = parentPort!
const { dataDir, fresh } = workerData as ThreadData
const INT8 = 20

async function open(): Promise<PGlite> {
  const loadDataDir = fresh ? await readPrepared() : undefined
  // Whole numbers of eight bytes are texts, as with `pg`: they may be larger than a number can tell.
  const db = new PGlite({ dataDir, loadDataDir, parsers: { [INT8]: (value) => value } })
  await db.waitReady
  return db
}

function answer(message: FromThread): void {
  port.postMessage(message)
}

/** One after the other, as a single connection has it. */
async function run(db: PGlite, { id, text, values, listen }: ToThread): Promise<void> {
  try {
    if (listen !== undefined) {
      await db.listen(listen, (payload) => answer({ type: 'notification', channel: listen, payload }))
      answer({ type: 'rows', id, rows: [] })
    } else if (values) {
      const { rows } = await db.query<Record<string, unknown>>(text, values as unknown[])
      answer({ type: 'rows', id, rows })
    } else {
      const results = await db.exec(text)
      answer({ type: 'rows', id, rows: results.flatMap(({ rows }) => rows) })
    }
  } catch (error) {
    // What several statements had begun would stay open for everybody.
    if (!values) await db.exec('ROLLBACK').catch(() => {})
    const { message, code, detail, constraint, severity } = error as Error & Record<string, string | undefined>
    answer({ type: 'error', id, error: { message, code, detail, constraint, severity } })
  }
}

let db: PGlite
let turn = open().then(
  (opened) => {
    db = opened
    answer({ type: 'ready' })
  },
  (error: unknown) => answer({ type: 'failed', message: (error as Error).message }),
)
port.on('message', (message: ToThread | 'close') => {
  turn = turn.then(async () => {
    if (message !== 'close') return run(db, message)
    await db?.close()
    port.close()
  })
})
