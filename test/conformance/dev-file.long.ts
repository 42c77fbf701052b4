// With the suite of presets, and with a sync for each write. `npm test` runs the suites of the ports without syncs and with batches of them.
import './dev-file.test.ts'
