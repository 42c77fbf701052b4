// The suite of all runtimes with forked Python processes. `npm test` tries what differs, in `test/e2e/prefork.test.ts`.
import { runtimeConformance } from 'nuxt-queue/testing/conformance'
import runtimePython from '../../plugins/runtimes/python/index.ts'
import { scenarioFiles } from '../fixtures/runtime/files.ts'

runtimeConformance({
  name: 'runtime-python with prefork',
  runtime: 'python',
  plugins: [runtimePython],
  config: { python: { prefork: 'worker' } },
  workers: scenarioFiles('python', 'py', {}, ['races', 'prints']),
  time: 'real',
})
