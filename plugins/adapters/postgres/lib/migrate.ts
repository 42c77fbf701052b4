import { QueueError } from '../../../../kernel/index.ts'
import { quoteName, quoteText, type PostgresPort } from './postgres.ts'

/**
 * Brings the tables of a plugin to the newest version. Any number of instances may do it at once: a
 * lock lets one pass, the others find it done.
 *
 * @param name whose tables these are
 * @param versions the statements of version 1, 2, …; what has been released is never changed
 * @throws QueueError `CONFIG_INVALID` when a newer release has written the schema
 */
export async function migrate(
  db: Pick<PostgresPort, 'query' | 'schema'>,
  name: string,
  versions: readonly string[],
): Promise<void> {
  const schema = quoteName(db.schema)
  const lock = `SELECT pg_advisory_xact_lock(hashtextextended(${quoteText(`nuxt-queue:${db.schema}`)}, 0))`
  const current = `(SELECT coalesce(max(version), 0) FROM ${schema}.nq_migration WHERE name = ${quoteText(name)})`

  async function version(): Promise<number> {
    const there = await db.query<{ there: boolean }>('SELECT to_regclass($1) IS NOT NULL AS there', [
      `${schema}.nq_migration`,
    ])
    if (!there[0]!.there) return 0
    const [row] = await db.query<{ version: number }>(`SELECT ${current} AS version`)
    return row!.version
  }

  const before = await version()
  if (before > versions.length) {
    const message = `Schema "${db.schema}" holds version ${before} of "${name}"; this release knows ${versions.length}.`
    throw new QueueError('CONFIG_INVALID', `${message} Update nuxt-queue, or set postgres.schema to another one.`)
  }
  if (before === versions.length) return
  await makeSchema(db)
  await db.query(`BEGIN; ${lock};
    CREATE TABLE IF NOT EXISTS ${schema}.nq_migration (
      name text NOT NULL, version int NOT NULL, applied_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (name, version)
    ); COMMIT`)
  for (const [index, statements] of versions.entries()) {
    if (index < before) continue
    // Looked at again under the lock, since another instance may have been quicker; so it may be sent again.
    const step = `BEGIN; ${lock}; DO $nq_guard$ BEGIN
      IF ${current} = ${index} THEN
        EXECUTE $nq_migrate$ ${statements} $nq_migrate$;
        INSERT INTO ${schema}.nq_migration (name, version) VALUES (${quoteText(name)}, ${index + 1});
      END IF;
    END $nq_guard$; COMMIT`
    await db.query(step, undefined, { repeatable: true })
  }
}

/** Makes the schema unless it is there: who owns only that may not make one, not even "if not exists". */
export async function makeSchema(db: Pick<PostgresPort, 'query' | 'schema'>): Promise<void> {
  const look = () => db.query('SELECT FROM pg_namespace WHERE nspname = $1', [db.schema])
  if ((await look()).length > 0) return
  try {
    await db.query(`CREATE SCHEMA IF NOT EXISTS ${quoteName(db.schema)}`, [])
  } catch (error) {
    // Another instance may have been quicker.
    if ((await look()).length === 0) throw error
  }
}
