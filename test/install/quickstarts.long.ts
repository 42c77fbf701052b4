// The commands for production, with Redis. `npm test` runs what a reader does first.
import './quickstarts.test.ts'
