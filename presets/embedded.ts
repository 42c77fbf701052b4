import eventsPostgres from '../plugins/adapters/postgres/events/index.ts'
import pglite from '../plugins/adapters/pglite/index.ts'
import queuePostgres from '../plugins/adapters/postgres/queue/index.ts'
import { definePreset } from '../kernel/index.ts'
import { capabilities } from './common.ts'

/** For one process, with PostgreSQL inside it and all data in a folder on disk. */
export default definePreset({ name: 'embedded', plugins: [pglite, queuePostgres, eventsPostgres, ...capabilities] })
