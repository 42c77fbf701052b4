import { runtimeConformance } from 'nuxt-queue/testing/conformance'
import runtimePython from '../../plugins/runtimes/python/index.ts'
import { scenarioFiles } from '../fixtures/runtime/files.ts'

runtimeConformance({
  name: 'runtime-python',
  runtime: 'python',
  plugins: [runtimePython],
  workers: scenarioFiles('python', 'py', {}, ['races', 'prints']),
  time: 'real',
})
