import { runtimeConformance } from 'nuxt-queue/testing/conformance'
import { afterAll } from 'vitest'
import type { KernelConfig, MaybePromise, Preset } from '../../kernel/index.ts'
import prodPostgres from '../../presets/prod-postgres.ts'
import prodRedis from '../../presets/prod-redis.ts'
import { COMPILED } from '../fixtures/runtime/compiled.ts'
import { scenarioFiles } from '../fixtures/runtime/files.ts'
import { sharedRedis } from '../services/redis.ts'
import { postgresForFile } from './postgres-rig.ts'

const server = await sharedRedis()
afterAll(() => server.stop())
const { config: postgres, empty } = await postgresForFile()

const ISOLATED = { isolated: { env: COMPILED } }

const PRESETS: { preset: Preset; config: () => MaybePromise<KernelConfig> }[] = [
  {
    preset: prodRedis,
    config: () => ({ ...ISOLATED, redis: { url: server.url, prefix: crypto.randomUUID(), checkServer: false } }),
  },
  { preset: prodPostgres, config: () => empty().then(() => ({ ...ISOLATED, postgres })) },
]
const RUNTIMES = [
  { runtime: 'node', workers: undefined },
  { runtime: 'node-isolated', workers: scenarioFiles('isolated', 'ts', {}, ['races', 'prints']) },
  { runtime: 'python', workers: scenarioFiles('python', 'py', {}, ['races', 'prints']) },
  { runtime: 'exec', workers: scenarioFiles('perl', 'pl', { exec: { mode: 'protocol' } }, ['prints']) },
]

/** Registers the tests of runtimes on the production presets. `named` selects combinations by `<runtime> on <preset>`. Default: all. */
export function runtimesOnPresets(named?: readonly string[]): void {
  for (const { preset, config } of PRESETS) {
    for (const { runtime, workers } of RUNTIMES) {
      const name = `${runtime} on ${preset.name}`
      if (named && !named.includes(name)) continue
      runtimeConformance({
        name,
        runtime,
        plugins: [],
        preset,
        config,
        workers,
        time: 'real',
      })
    }
  }
}
