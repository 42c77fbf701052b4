import { sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import createKnex from 'knex'
import { Kysely, PostgresDialect, sql as kyselySql } from 'kysely'
import { Pool } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Kernel, SqlClient } from '../../kernel/index.ts'
import {
  fromDrizzle,
  fromKnex,
  fromKysely,
  fromPrisma,
  type PrismaTransaction,
} from '../../plugins/adapters/postgres/lib/transactions.ts'
import { sharedPostgres } from '../services/postgres.ts'
import { openKernel } from './postgres-rig.ts'

type Work = (insert: (id: string) => PromiseLike<unknown>, db: () => SqlClient) => Promise<unknown>
type Transact = (work: Work) => Promise<unknown>

const schema = `nq_orm_${process.pid}`
const QUEUE = 'in "{voices}\\'
const INSERT = `INSERT INTO ${schema}.orders VALUES`
let service: Awaited<ReturnType<typeof sharedPostgres>>
let pool: Pool
let kernel: Kernel

beforeAll(async () => {
  service = await sharedPostgres()
  pool = new Pool({ connectionString: service.url })
  kernel = await openKernel(service.url, schema)
  await pool.query(`CREATE TABLE ${schema}.orders (id text)`)
  await kernel.registerWorker({ id: 'invoice', config: { queue: QUEUE }, handler: ({ data }) => data })
  await kernel.registerWorker({
    id: 'ship',
    config: { flow: { name: 'order', role: 'entry', step: 'ship' } },
    handler: ({ data }) => data,
  })
  await kernel.start()
})
afterAll(async () => {
  await kernel.close({ timeout: 0 })
  await pool.query(`DROP SCHEMA ${schema} CASCADE`)
  await pool.end()
  await service.stop()
})

/** The client that Prisma passes to an interactive transaction, with the documented methods for SQL. */
function prismaLike(run: (text: string, values: unknown[]) => Promise<{ rows: unknown[] }>): PrismaTransaction {
  return { $queryRawUnsafe: async (query, ...values) => (await run(query, values)).rows }
}

const ORMS: Record<string, Transact> = {
  Drizzle: (work) =>
    drizzle(pool).transaction((tx) =>
      work(
        (id) => tx.execute(sql`INSERT INTO ${sql.identifier(schema)}.orders VALUES (${id})`),
        () => fromDrizzle(tx, sql),
      ),
    ),
  Kysely: (work) =>
    new Kysely<object>({ dialect: new PostgresDialect({ pool }) }).transaction().execute((trx) =>
      work(
        (id) => kyselySql`${kyselySql.raw(INSERT)} (${id})`.execute(trx),
        () => fromKysely(trx),
      ),
    ),
  async Knex(work) {
    const knex = createKnex({ client: 'pg', connection: service.url })
    try {
      return await knex.transaction((trx) =>
        work(
          (id) => trx.raw(`${INSERT} (?)`, [id]),
          () => fromKnex(trx),
        ),
      )
    } finally {
      await knex.destroy()
    }
  },
  async 'the $queryRawUnsafe that Prisma documents, on a pg client,'(work) {
    const client = await pool.connect()
    const tx = prismaLike((text, values) => client.query(text, values))
    try {
      await client.query('BEGIN')
      await work(
        (id) => tx.$queryRawUnsafe(`${INSERT} ($1)`, id),
        () => fromPrisma(tx),
      )
      await client.query('COMMIT')
    } catch (error) {
      await client.query('ROLLBACK')
      throw error
    } finally {
      client.release()
    }
  },
}

const DATA = { text: `a "quoted" $1 ? \\? {text} 'é' 😀`, list: [1, null, [true]], at: new Date(0) }

describe.each(Object.entries(ORMS))('a transaction of %s', (name, transact) => {
  const id = (part: string): string => `${name.slice(0, 12)} ${part} ' ? $2 "{`
  /** Stores one order, three jobs and a run. */
  async function order(key: string, ...[insert, db]: Parameters<Work>) {
    await insert(id(key))
    const first = await kernel.enqueue('invoice', DATA, { id: id(key), tags: ['a "tag", {'], db: db() })
    await kernel.enqueueMany([
      { worker: 'invoice', data: 1, options: { id: id(`${key} first`), fairKey: 'a', db: db() } },
      { worker: 'invoice', data: 2, options: { fairKey: 'b', tags: [id(key)], db: db() } },
    ])
    await kernel.flow('order').start(3, { id: id(`${key} run`), db: db() })
    return first
  }
  const job = async (part: string): Promise<unknown> => kernel.port('queue').getJob(QUEUE, id(part))
  const stored = async (key: string): Promise<unknown[]> => [
    (await pool.query(`SELECT FROM ${schema}.orders WHERE id = $1`, [id(key)])).rowCount,
    (await job(key)) !== undefined,
    (await job(`${key} first`)) !== undefined,
    (await kernel.findJobs({ tag: id(key) })).jobs.length,
  ]

  it('stores the jobs and the run with its commit', async () => {
    let first: Awaited<ReturnType<typeof order>>
    await transact(async (insert, db) => {
      first = await order('kept', insert, db)
      expect(await stored('kept')).toEqual([0, false, false, 0])
    })
    expect(await kernel.result(first!, { timeout: 60_000 })).toEqual(DATA)
    expect(await kernel.flow('order').result(id('kept run'), { timeout: 60_000 })).toBe(3)
    expect(await stored('kept')).toEqual([1, true, true, 1])
  })

  it('deduplicates ids, also of jobs in the same transaction', async () => {
    await transact(async (_insert, db) => {
      const [first, second] = [
        await kernel.enqueue('invoice', 1, { id: id('twice'), db: db() }),
        await kernel.enqueue('invoice', 2, { id: id('twice'), db: db() }),
      ]
      expect([first.deduplicated, second.deduplicated]).toEqual([false, true])
      expect(second.runId).toBe(first.runId)
    })
  })

  it('stores nothing after a rollback', async () => {
    const undo = new Error('no stock')
    const call = transact(async (insert, db) => {
      await order('undone', insert, db)
      throw undo
    })
    await expect(call).rejects.toBe(undo)
    expect(await stored('undone')).toEqual([0, false, false, 0])
    await expect(kernel.flow('order').status(id('undone run'))).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' })
  })
})

it('names the helpers when it receives the transaction of an ORM itself', async () => {
  const call = drizzle(pool).transaction((tx) => kernel.enqueue('invoice', 1, { db: tx as never }))
  await expect(call).rejects.toMatchObject({
    code: 'OPTION_INVALID',
    message: expect.stringContaining('fromDrizzle') as string,
  })
})
