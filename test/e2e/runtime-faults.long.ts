// With 200 jobs at once. `npm test` queues 80.
import './runtime-faults.test.ts'
