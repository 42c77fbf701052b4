// On the embedded database as well. `npm test` traces jobs on each of the other presets.
import './otel.test.ts'
