// With Rollup as well. `npm test` builds with Rolldown, which is Nitro's own bundler.
import './nitro3.test.ts'
