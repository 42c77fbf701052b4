// With Redis as well. `npm test` edits workers whose jobs are in memory and in files.
import './dev.test.ts'
