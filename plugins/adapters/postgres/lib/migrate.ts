import { QueueError } from '../../../../kernel/index.ts'
import { quoteName, quoteText, type PostgresPort } from './postgres.ts'

/**
 * Migrates the tables of a plugin to the newest version. Several instances may call it at the same time: an advisory
 * lock lets one of them migrate, and the others find the work done.
 *
 * @param name the plugin that owns the tables
 * @param versions the statements of version 1, 2, and so on. Released versions never change
 * @throws QueueError `CONFIG_INVALID` if a newer release has migrated the schema
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
    const [table] = await db.query<{ exists: boolean }>('SELECT to_regclass($1) IS NOT NULL AS exists', [
      `${schema}.nq_migration`,
    ])
    if (!table!.exists) return 0
    const [row] = await db.query<{ version: number }>(`SELECT ${current} AS version`)
    return row!.version
  }

  const before = await version()
  if (before > versions.length) {
    const message = `Schema "${db.schema}" has version ${before} of "${name}"; this release supports up to ${versions.length}.`
    throw new QueueError('CONFIG_INVALID', `${message} Update nuxt-queue, or set postgres.schema to another schema.`)
  }
  if (before === versions.length) return
  await ensureSchema(db)
  await db.query(`BEGIN; ${lock};
    CREATE TABLE IF NOT EXISTS ${schema}.nq_migration (
      name text NOT NULL, version int NOT NULL, applied_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (name, version)
    ); COMMIT`)
  for (const [index, statements] of versions.entries()) {
    if (index < before) continue
    // The version is checked again under the lock, because another instance may have migrated first. The statement is
    // therefore safe to repeat.
    const step = `BEGIN; ${lock}; DO $nq_guard$ BEGIN
      IF ${current} = ${index} THEN
        EXECUTE $nq_migrate$ ${statements} $nq_migrate$;
        INSERT INTO ${schema}.nq_migration (name, version) VALUES (${quoteText(name)}, ${index + 1});
      END IF;
    END $nq_guard$; COMMIT`
    await db.query(step, undefined, { repeatable: true })
  }
}

/**
 * Creates the schema if it does not exist. It looks first, because `CREATE SCHEMA IF NOT EXISTS` needs the right to create
 * schemas even if the schema exists.
 */
export async function ensureSchema(db: Pick<PostgresPort, 'query' | 'schema'>): Promise<void> {
  const find = () => db.query('SELECT FROM pg_namespace WHERE nspname = $1', [db.schema])
  if ((await find()).length > 0) return
  try {
    await db.query(`CREATE SCHEMA IF NOT EXISTS ${quoteName(db.schema)}`, [])
  } catch (error) {
    // Another instance may have created it in the meantime.
    if ((await find()).length === 0) throw error
  }
}
