// On PostgreSQL as well. `npm test` limits and joins jobs of several instances on Redis alone.
import './flow-control.test.ts'
