import { z } from 'zod'
import { definePlugin, QueueError, systemClock } from '../../../../kernel/index.ts'
import { createStoreClock } from '../../lib/store-clock.ts'
import { connectionOf } from './connection.ts'
import { diagnoseServer } from './diagnose.ts'
import { createListener } from './listener.ts'
import { createDatabase, loadPg } from './database.ts'

/** How often the clock of this machine is compared with the clock of the server, in milliseconds. */
const COMPARE_INTERVAL = 30_000

export type { PostgresPort } from '../lib/postgres.ts'

/** Provides one connection pool and one listening connection to all plugins that keep their data in PostgreSQL. */
export default definePlugin({
  name: 'postgres',
  options: z.strictObject({
    /** Connection string. Default: `DATABASE_URL`, read when the kernel starts. */
    url: z.string().min(1).optional(),
    /** The same setting under its name in `pg`. */
    connectionString: z.string().min(1).optional(),
    /** Settings of the `pg` pool, such as `max`, `ssl` and `connectionTimeoutMillis`. Default: ten connections. */
    pool: z.record(z.string(), z.unknown()).default({}),
    /** The schema of all tables. It is created if it does not exist. Default `nuxt_queue`. */
    schema: z
      .string()
      .regex(/^[A-Za-z_][A-Za-z0-9_]{0,49}$/, 'must have 1 to 50 letters, digits or _, and must not start with a digit')
      .default('nuxt_queue'),
    /** Milliseconds without a renewal of the lease after which another worker runs the job. Default 30,000. */
    lease: z.number().min(500).default(30_000),
    /** Milliseconds between polls, which find jobs and events whose notification was lost. Default 5000. */
    pollInterval: z.number().min(50).default(5000),
  }),
  async setup(kernel, { pool, schema, lease, pollInterval, ...given }) {
    if (given.url && given.connectionString && given.url !== given.connectionString) {
      const problem = 'postgres.url and postgres.connectionString are the same setting, but their values differ'
      throw new QueueError('CONFIG_INVALID', `${problem}. Set only one of them.`)
    }
    const config = connectionOf(given.url ?? given.connectionString, pool)
    const pg = await loadPg()
    const database = createDatabase(pg, config, kernel.reporter)
    const listener = createListener(pg, config, kernel.reporter)
    try {
      await database.reach()
    } catch (error) {
      await database.close()
      throw error
    }
    const { query } = database
    const clock = createStoreClock('PostgreSQL', kernel.reporter)
    async function compareClocks(): Promise<void> {
      const asked = Date.now()
      const text = 'SELECT extract(epoch FROM clock_timestamp())::float8 * 1000 AS now'
      const [row] = await query<{ now: number }>(text, [], { repeatable: true })
      clock.compare(row!.now, asked)
    }
    await compareClocks()
    // The pool reports an outage when a statement waits for the server.
    const comparing = setInterval(() => void compareClocks().catch(() => {}), COMPARE_INTERVAL).unref()
    // Tests provide their own clock.
    if (kernel.clock === systemClock) kernel.provide('clock', clock)
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
      async diagnose() {
        await compareClocks()
        return [...(await diagnoseServer(database)), clock.diagnose()]
      },
    })
    return async () => {
      clearInterval(comparing)
      await listener.close()
      await database.close()
    }
  },
})
