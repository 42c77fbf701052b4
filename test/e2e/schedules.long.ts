// On PostgreSQL as well. `npm test` starts several instances with schedules on Redis alone.
import './schedules.test.ts'
