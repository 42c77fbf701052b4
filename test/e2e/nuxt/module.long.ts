// Built as static pages as well. `npm test` does that with an application of Nitro, in nitro.test.ts.
import './module.test.ts'
