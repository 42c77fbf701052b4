import { runtimeConformance } from 'nuxt-queue/testing/conformance'
import runtimeExec from '../../plugins/runtimes/exec/index.ts'
import { scenarioFiles } from '../fixtures/runtime/files.ts'

const workers = scenarioFiles('perl', 'pl', { exec: { mode: 'protocol' } })
runtimeConformance({ name: 'runtime-exec (Perl)', runtime: 'exec', plugins: [runtimeExec], workers, time: 'real' })
