import { runtimeConformance } from 'nuxt-queue/testing/conformance'
import runtimeIsolated from '../../plugins/runtimes/isolated/index.ts'
import { COMPILED } from '../fixtures/runtime/compiled.ts'
import { scenarioFiles } from '../fixtures/runtime/files.ts'

const workers = scenarioFiles('isolated', 'ts', {}, ['races', 'prints'])
runtimeConformance({
  name: 'runtime-isolated',
  runtime: 'node-isolated',
  plugins: [runtimeIsolated],
  config: { isolated: { env: COMPILED } },
  workers,
  time: 'real',
})
