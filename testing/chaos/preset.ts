import { definePlugin, definePreset, orderPlugins, type AnyPlugin } from '../../kernel/index.ts'
import test from '../../presets/test.ts'

/** The processes of a chaos test share these ports, which the plugin `chaos-machine` provides. */
const STORAGE = ['queue-memory', 'events-memory']
/** What shows and counts runs, or runs them in other processes: it does not affect them, and takes half of the start of a kernel. */
const UNUSED = ['stats', 'errors', 'audit', 'http', 'dashboard', 'doctor', 'explain', 'instances', 'runtime-isolated']
UNUSED.push('runtime-python', 'runtime-exec')

/** Keeps the name, the options of the configuration and those of workers, so that a configuration stays valid. */
function withoutSetup({ name, options, configKey, workerOptions }: AnyPlugin): AnyPlugin {
  return definePlugin({ name, configKey, workerOptions, options, setup: () => {} })
}

const named = (names: readonly string[]): AnyPlugin[] =>
  orderPlugins(test, []).filter(({ name }) => names.includes(name))

/** The preset `test` without storage, with the checks for stalled runs of production. */
export const chaosPreset = definePreset({
  name: 'chaos',
  extends: test,
  plugins: named([...STORAGE, ...UNUSED]).map(withoutSetup),
  config: { flow: { checkInterval: 60_000 } },
})
