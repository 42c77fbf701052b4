import { z } from 'zod'
import { definePlugin, QueueError } from '../../kernel/index.ts'
import { createListener } from './listener.ts'
import { createDatabase, loadPg } from './database.ts'

export type { PostgresPort } from '../_shared/postgres.ts'

/** One pool and one listening connection for every plugin that keeps its data in PostgreSQL. */
export default definePlugin({
  name: 'postgres',
  options: z.strictObject({
    /** Connection string. Default: `DATABASE_URL`, read when the kernel starts. */
    url: z.string().min(1).optional(),
    /** The same under the name that `pg` has for it. */
    connectionString: z.string().min(1).optional(),
    /** Settings of the `pg` pool: `max`, `ssl`, `connectionTimeoutMillis`, … Default: ten connections. */
    pool: z.record(z.string(), z.unknown()).default({}),
    /** The schema that holds all tables; made when it is missing. */
    schema: z
      .string()
      .regex(/^[A-Za-z_][A-Za-z0-9_]{0,49}$/, 'takes letters, digits and _, 50 at most, and starts with no digit')
      .default('nuxt_queue'),
    /** Milliseconds a worker may give no sign of life before its jobs run elsewhere. */
    lease: z.number().min(500).default(30_000),
    /** Milliseconds between looks for jobs and events that no notification told of. */
    pollInterval: z.number().min(50).default(5000),
  }),
  async setup(kernel, { pool, schema, lease, pollInterval, ...given }) {
    const url = given.url ?? given.connectionString ?? process.env.DATABASE_URL
    if (given.url && given.connectionString && given.url !== given.connectionString) {
      const names = 'postgres.url and postgres.connectionString, which mean the same, differ'
      throw new QueueError('CONFIG_INVALID', `${names}. Give one of them.`)
    }
    const named = 'host' in pool || 'connectionString' in pool
    if (!url && !named) {
      const hint = 'Set DATABASE_URL, or postgres.url in the configuration.'
      throw new QueueError('CONFIG_INVALID', `There is no PostgreSQL to connect to. ${hint}`)
    }
    const pg = await loadPg()
    const config = { ...(url && { connectionString: url }), ...pool }
    const database = createDatabase(pg, config, kernel.reporter)
    const listener = createListener(pg, config, kernel.reporter)
    try {
      await database.reach()
    } catch (error) {
      await database.close()
      throw error
    }
    const { query } = database
    const { listen, caughtUp } = listener
    kernel.provide('postgres', {
      backend: 'postgres',
      schema,
      lease,
      pollInterval,
      reporter: kernel.reporter,
      query,
      listen,
      caughtUp,
    })
    return async () => {
      await listener.close()
      await database.close()
    }
  },
})
