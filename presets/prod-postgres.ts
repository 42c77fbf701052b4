import { definePreset } from '../kernel/index.ts'
import eventsPostgres from '../plugins/events-postgres/index.ts'
import postgres from '../plugins/postgres/index.ts'
import queuePostgres from '../plugins/queue-postgres/index.ts'
import { capabilities } from './common.ts'

/** Jobs on pg-boss and events in tables of one PostgreSQL, shared by any number of processes. */
export default definePreset({
  name: 'prod-postgres',
  plugins: [postgres, queuePostgres, eventsPostgres, ...capabilities],
})
