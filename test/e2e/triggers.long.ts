// On Redis as well. `npm test` kills processes that fire triggers on PostgreSQL alone.
import './triggers.test.ts'
