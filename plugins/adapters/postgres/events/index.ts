import { createHash } from 'node:crypto'
import { definePlugin } from '../../../../kernel/index.ts'
import { migrate } from '../lib/migrate.ts'
import { createPostgresEventCopies } from './copies.ts'
import { eventVersions } from './schema.ts'
import { createPostgresEventStore } from './store.ts'

/** Keeps the history of all runs in tables. It uses the connection of the plugin `postgres` or `pglite`. */
export default definePlugin({
  name: 'events-postgres',
  requires: ['postgres'],
  async setup(kernel) {
    const db = kernel.port('postgres')
    // Channels belong to the database, not to the schema, so the name contains a hash of the schema. Names are limited to 63 bytes.
    const channel = `nq_${createHash('sha256').update(db.schema).digest('hex').slice(0, 24)}`
    await migrate(db, 'events', eventVersions(db.schema, channel))
    const store = await createPostgresEventStore(kernel, db, channel)
    kernel.provide('events', store)
    kernel.provide('eventCopies', createPostgresEventCopies(db, store))
    return () => store.close()
  },
})
