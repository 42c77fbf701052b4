import type { SqlClient } from '../../../../kernel/index.ts'

/** A transaction of drizzle-orm on PostgreSQL. */
export interface DrizzleTransaction {
  execute(query: never): PromiseLike<unknown>
}

/** The tag `sql` of drizzle-orm. */
export interface DrizzleSql {
  (strings: TemplateStringsArray, ...params: unknown[]): unknown
  param(value: unknown): unknown
}

/** A transaction of Kysely on PostgreSQL. */
export interface KyselyTransaction {
  executeQuery(query: {
    sql: string
    parameters: readonly unknown[]
    query: { kind: 'RawNode'; sqlFragments: readonly string[]; parameters: readonly [] }
    queryId: { queryId: string }
  }): Promise<{ readonly rows: unknown[] }>
}

/** A transaction of Knex on PostgreSQL. */
export interface KnexTransaction {
  raw(sql: string, bindings: readonly never[]): PromiseLike<unknown>
}

/** The client that Prisma passes to an interactive transaction. */
export interface PrismaTransaction {
  $queryRawUnsafe(query: string, ...values: unknown[]): PromiseLike<unknown>
}

type Run = (text: string, values: readonly unknown[]) => PromiseLike<unknown>

/** The clients by transaction. All jobs of `enqueueMany` must have the same client. */
const clients = new WeakMap<object, SqlClient>()

function clientOf(transaction: object, run: Run): SqlClient {
  const client = clients.get(transaction) ?? {
    async executeSql(text: string, values: unknown[] = []) {
      return { rows: rowsOf(await run(text, values)) }
    },
  }
  clients.set(transaction, client)
  return client
}

/**
 * Returns the option `db` for a transaction of drizzle-orm, so that a job is stored if and only if the transaction commits.
 *
 * @param sql the tag `sql` of drizzle-orm, with which the statement is built
 * @example
 * await db.transaction(async (tx) => {
 *   await tx.insert(orders).values({ id: 7 })
 *   await kernel.enqueue('invoice', { order: 7 }, { db: fromDrizzle(tx, sql) })
 * })
 */
export function fromDrizzle(tx: DrizzleTransaction, sql: DrizzleSql): SqlClient {
  return clientOf(tx, (text, values) => {
    const { parts, ordered } = splitPlaceholders(text, values)
    // Not every driver of Drizzle accepts an array as a value, but every one accepts the text of an array.
    const params = ordered.map((value) => sql.param(Array.isArray(value) ? arrayText(value) : value))
    return tx.execute(sql(Object.assign(parts, { raw: parts }), ...params) as never)
  })
}

/**
 * Returns the option `db` for a transaction of Kysely, so that a job is stored if and only if the transaction commits.
 *
 * @example
 * await db.transaction().execute(async (trx) => {
 *   await trx.insertInto('orders').values({ id: 7 }).execute()
 *   await kernel.enqueue('invoice', { order: 7 }, { db: fromKysely(trx) })
 * })
 */
export function fromKysely(trx: KyselyTransaction): SqlClient {
  return clientOf(trx, (sql, parameters) =>
    trx.executeQuery({
      ...{ sql, parameters },
      query: { kind: 'RawNode', sqlFragments: [sql], parameters: [] },
      queryId: { queryId: 'nuxt-queue' },
    }),
  )
}

/**
 * Returns the option `db` for a transaction of Knex, so that a job is stored if and only if the transaction commits.
 *
 * @example
 * await knex.transaction(async (trx) => {
 *   await trx('orders').insert({ id: 7 })
 *   await kernel.enqueue('invoice', { order: 7 }, { db: fromKnex(trx) })
 * })
 */
export function fromKnex(trx: KnexTransaction): SqlClient {
  return clientOf(trx, (text, values) => {
    const { parts, ordered } = splitPlaceholders(text, values)
    return trx.raw(parts.map((part) => part.replaceAll('?', '\\?')).join('?'), ordered as never[])
  })
}

/**
 * Returns the option `db` for an interactive transaction of Prisma, so that a job is stored if and only if the transaction commits.
 *
 * @example
 * await prisma.$transaction(async (tx) => {
 *   await tx.order.create({ data: { id: 7 } })
 *   await kernel.enqueue('invoice', { order: 7 }, { db: fromPrisma(tx) })
 * })
 */
export function fromPrisma(tx: PrismaTransaction): SqlClient {
  return clientOf(tx, (text, values) => tx.$queryRawUnsafe(text, ...values))
}

/** Returns the rows of a result: drivers return either an array of rows, or an object with `rows`. */
function rowsOf(result: unknown): unknown[] {
  if (Array.isArray(result)) return result
  return (result as { rows: unknown[] }).rows
}

/** Returns the text between the placeholders `$1`, `$2`, …, and the value of each placeholder in the order of the text. */
function splitPlaceholders(text: string, values: readonly unknown[]) {
  const parts = text.split(/\$\d+/)
  const ordered = [...text.matchAll(/\$(\d+)/g)].map(([, number]) => values[Number(number) - 1])
  return { parts, ordered }
}

/** Returns an array of texts as PostgreSQL writes it. */
function arrayText(values: readonly unknown[]): string {
  return `{${values.map((value) => `"${String(value).replaceAll(/["\\]/g, '\\$&')}"`).join(',')}}`
}
