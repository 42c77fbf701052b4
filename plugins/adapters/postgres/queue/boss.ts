import type { PgBoss } from 'pg-boss'
import { QueueError, type Diagnosis } from '../../../../kernel/index.ts'
import { loadPackage } from '../../../lib/optional-package.ts'
import { diagnoseLibrary, warnOf } from '../../lib/storage-library.ts'
import { ensureSchema } from '../lib/migrate.ts'
import { quoteName, type PostgresPort } from '../lib/postgres.ts'
import { within } from '../lib/within.ts'
import { encodeQueue } from './names.ts'

/** The part of pg-boss that we use: its tables, and its queues. */
export interface Boss {
  /** The channel on which pg-boss and this plugin announce that a queue has jobs. */
  readonly channel: string
  /** Creates a queue if it does not exist. Later calls for the same queue need no query. */
  ensureQueue(queue: string): Promise<void>
  /** Says whether the versions of pg-boss and of its tables are supported. */
  diagnose(): Diagnosis[]
  stop(): Promise<void>
}

/** How long pg-boss may take to stop, in milliseconds. */
const STOP_TIMEOUT = 1000
/** The version of pg-boss's tables that our SQL functions are written for: `pgboss.schema` in the manifest of pg-boss. */
export const TESTED_TABLES = 46
/** A name that never needs quotes, because no SQL keyword contains `_` in this form. */
const PLAIN = /^[a-z]*_[a-z0-9_]*$/

/**
 * @throws QueueError `PACKAGE_MISSING` if the package is missing. The message says what to install. `STORE_INCOMPATIBLE` if its tables
 * are older than our SQL functions need
 */
export async function startBoss(db: PostgresPort): Promise<Boss> {
  const { PgBoss: Constructor } = await loadPackage(() => import('pg-boss'), 'The plugin "queue-postgres"', 'pg-boss')
  // The installation must not be repeated. Later statements create queues only if they do not exist, so they may be repeated.
  let repeatable = false
  const boss = new Constructor({
    db: { executeSql: async (text, values) => ({ rows: await db.query(text, values, { repeatable }) }) },
    // Quoted if necessary, because pg-boss would otherwise fold the name to lower case or read it as a keyword.
    schema: PLAIN.test(db.schema) ? db.schema : quoteName(db.schema),
    createSchema: false,
    backend: db.backend,
    // This plugin handles expiry, retries and deletion. The kernel handles schedules.
    supervise: false,
    schedule: false,
  })
  boss.on('error', (error) => db.reporter.error('pg-boss reported an error.', error))
  await ensureSchema(db)
  await boss.start()
  repeatable = true
  const [row] = await db.query<{ channel: string; version: number }>(
    `SELECT 'pgboss_' || left(encode(sha224(convert_to($1::text, 'UTF8')), 'hex'), 24) AS channel,
       (SELECT max(version) FROM ${quoteName(db.schema)}.version) AS version`,
    [db.schema],
  )
  const diagnose = (): Diagnosis[] => [diagnoseLibrary('pg-boss'), diagnoseTables(row!.version)]
  if (row!.version < TESTED_TABLES) {
    await stop(boss)
    const { message, hint } = diagnoseTables(row!.version)
    throw new QueueError('STORE_INCOMPATIBLE', `${message} ${hint}`)
  }
  warnOf(diagnose(), db.reporter)
  const queues = new Map<string, Promise<void>>()

  async function create(queue: string): Promise<void> {
    const name = encodeQueue(queue)
    const policyOf = `SELECT policy FROM ${quoteName(db.schema)}.queue WHERE name = $1`
    const findPolicy = () => db.query<{ policy: string }>(policyOf, [name], { repeatable })
    let [known] = await findPolicy()
    if (!known) {
      await boss.createQueue(name, { notify: true })
      ;[known] = await findPolicy()
    }
    if (known && known.policy !== 'standard') {
      const message = `Queue "${queue}" has the pg-boss policy "${known.policy}", which nuxt-queue does not support.`
      throw new QueueError('OPTION_UNSUPPORTED', `${message} Use another queue, or one with the policy "standard".`)
    }
  }

  return {
    channel: row!.channel,
    ensureQueue(queue) {
      let created = queues.get(queue)
      if (!created) {
        queues.set(queue, (created = create(queue)))
        created.catch(() => queues.delete(queue))
      }
      return created
    },
    diagnose,
    stop: () => stop(boss),
  }
}

/** Says whether another release of pg-boss has changed its tables, which our SQL functions read and write. */
function diagnoseTables(version: number): Diagnosis {
  const check = 'pg-boss.tables'
  if (version === TESTED_TABLES)
    return { check, level: 'ok', message: `The tables of pg-boss have version ${version}.` }
  const got = `This release of nuxt-queue was tested with version ${TESTED_TABLES} of the tables of pg-boss; got version ${version}.`
  const hint =
    version > TESTED_TABLES ? 'Update nuxt-queue.' : 'Update pg-boss, in every application that uses the schema.'
  return { check, level: 'problem', message: `${got} Jobs may not be found or run twice.`, hint }
}

async function stop(boss: PgBoss): Promise<void> {
  await within(STOP_TIMEOUT, boss.stop({ graceful: false, close: false }))
}
