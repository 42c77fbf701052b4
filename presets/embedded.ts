import eventsPostgres from '../plugins/events-postgres/index.ts'
import pglite from '../plugins/pglite/index.ts'
import queuePostgres from '../plugins/queue-postgres/index.ts'
import { definePreset } from '../kernel/index.ts'
import { capabilities } from './common.ts'

/** One process, PostgreSQL inside it, everything in a folder on disk. */
export default definePreset({ name: 'embedded', plugins: [pglite, queuePostgres, eventsPostgres, ...capabilities] })
