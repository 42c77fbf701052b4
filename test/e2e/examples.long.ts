// On PostgreSQL as well. `npm test` runs the examples in memory and on Redis.
import './examples.test.ts'
