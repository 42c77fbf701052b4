import { z } from 'zod'
import { definePlugin, QueueError, systemClock } from '../../../../kernel/index.ts'
import { createStoreClock } from '../../lib/store-clock.ts'
import { connectionOf } from './connection.ts'
import { createListener } from './listener.ts'
import { createDatabase, loadPg } from './database.ts'

/** How often, in milliseconds, the clock of this machine is compared with that of the server. */
const COMPARE_EVERY = 30_000

export type { PostgresPort } from '../lib/postgres.ts'

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
    if (given.url && given.connectionString && given.url !== given.connectionString) {
      const names = 'postgres.url and postgres.connectionString, which mean the same, differ'
      throw new QueueError('CONFIG_INVALID', `${names}. Give one of them.`)
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
    // An outage is reported by whoever waits for the server.
    const comparing = setInterval(() => void compareClocks().catch(() => {}), COMPARE_EVERY).unref()
    // Tests bring a clock of their own.
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
    })
    return async () => {
      clearInterval(comparing)
      await listener.close()
      await database.close()
    }
  },
})
