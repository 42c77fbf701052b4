// With the suite of presets, which takes longest on PGlite. `npm test` runs it on PostgreSQL, and the suites of the ports on PGlite.
import './embedded.test.ts'
