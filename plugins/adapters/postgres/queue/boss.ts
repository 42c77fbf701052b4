import type { PgBoss } from 'pg-boss'
import { QueueError } from '../../../../kernel/index.ts'
import { ensureSchema } from '../lib/migrate.ts'
import { quoteName, type PostgresPort } from '../lib/postgres.ts'
import { within } from '../lib/within.ts'
import { encodeQueue } from './names.ts'

/** The part of pg-boss that we use: its tables, and its queues. */
export interface Boss {
  /** The channel on which pg-boss, and we, tell that a queue has work. */
  readonly channel: string
  /** Makes a queue unless it is there. Answered from memory after the first time. */
  ensureQueue(queue: string): Promise<void>
  stop(): Promise<void>
}

/** Milliseconds that pg-boss may take to stop. */
const LAST_WAIT = 1000
/** A name that needs no quotes, whatever the list of keywords is. */
const PLAIN = /^[a-z]*_[a-z0-9_]*$/

/** @throws QueueError `PLUGIN_SETUP_FAILED` that says what to install */
export async function startBoss(db: PostgresPort): Promise<Boss> {
  const { PgBoss: Constructor } = await loadBoss()
  // Installing is not to be done twice; what follows, which makes queues unless they are there, may be.
  let repeatable = false
  const boss = new Constructor({
    db: { executeSql: async (text, values) => ({ rows: await db.query(text, values, { repeatable }) }) },
    // As it is written, where pg-boss would fold it to lower case or take it for a keyword.
    schema: PLAIN.test(db.schema) ? db.schema : quoteName(db.schema),
    createSchema: false,
    backend: db.backend,
    // Expiry, retries and deletion are ours; cron is the kernel's.
    supervise: false,
    schedule: false,
  })
  boss.on('error', (error) => db.reporter.error('pg-boss reports an error.', error))
  await ensureSchema(db)
  await boss.start()
  repeatable = true
  const [row] = await db.query<{ channel: string }>(
    `SELECT 'pgboss_' || left(encode(sha224(convert_to($1::text, 'UTF8')), 'hex'), 24) AS channel`,
    [db.schema],
  )
  const queues = new Map<string, Promise<void>>()

  async function create(queue: string): Promise<void> {
    const name = encodeQueue(queue)
    const policyOf = `SELECT policy FROM ${quoteName(db.schema)}.queue WHERE name = $1`
    const look = () => db.query<{ policy: string }>(policyOf, [name], { repeatable })
    let [known] = await look()
    if (!known) {
      await boss.createQueue(name, { notify: true })
      ;[known] = await look()
    }
    if (known && known.policy !== 'standard') {
      const message = `Queue "${queue}" has the pg-boss policy "${known.policy}", which nuxt-queue cannot honour.`
      throw new QueueError('OPTION_UNSUPPORTED', `${message} Use another queue, or one of the policy "standard".`)
    }
  }

  return {
    channel: row!.channel,
    ensureQueue(queue) {
      let made = queues.get(queue)
      if (!made) {
        queues.set(queue, (made = create(queue)))
        made.catch(() => queues.delete(queue))
      }
      return made
    },
    stop: () => stop(boss),
  }
}

async function loadBoss(): Promise<typeof import('pg-boss')> {
  try {
    return await import('pg-boss')
  } catch (cause) {
    const message = 'The PostgreSQL queue needs the package "pg-boss". Run: npm install pg-boss'
    throw new QueueError('PLUGIN_SETUP_FAILED', message, { cause })
  }
}

async function stop(boss: PgBoss): Promise<void> {
  await within(LAST_WAIT, boss.stop({ graceful: false, close: false }))
}
