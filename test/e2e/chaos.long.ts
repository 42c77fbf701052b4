// With PostgreSQL as well. `npm test` leaves its faults to postgres-outage.test.ts and postgres.test.ts.
import './chaos.test.ts'
