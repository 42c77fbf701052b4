// With 200 jobs at once, and with forked Python processes. `npm test` queues 80.
import './runtime-faults.test.ts'
