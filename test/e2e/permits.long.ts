// With PostgreSQL as well. `npm test` kills processes on files and Redis.
import './permits.test.ts'
