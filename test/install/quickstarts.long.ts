// The commands for production, with Redis, and Nitro in development. `npm test` runs what a reader does first, and the files of the guide
// for Nitro in the builds of `test/e2e/nuxt`.
import './quickstarts.test.ts'
