import { definePreset } from '../kernel/index.ts'
import eventsPostgres from '../plugins/adapters/postgres/events/index.ts'
import postgres from '../plugins/adapters/postgres/connection/index.ts'
import queuePostgres from '../plugins/adapters/postgres/queue/index.ts'
import { capabilities } from './common.ts'

/** For any number of processes. Jobs are stored by pg-boss and events in tables of one PostgreSQL. */
export default definePreset({
  name: 'prod-postgres',
  plugins: [postgres, queuePostgres, eventsPostgres, ...capabilities],
})
