import { defu } from 'defu'
import './sections.ts'
import {
  invalid,
  orderPlugins,
  QueueError,
  unknownKey,
  type AnyPlugin,
  type KernelConfig,
  type KernelOptions,
  type Preset,
} from '../kernel/index.ts'
import { configFromEnv } from './env.ts'
import { ADAPTERS, resolvePreset, type PresetChoice, type PresetEnvironment } from './resolve.ts'

/** The configuration in `nuxt-queue.config.ts`. Each section has the name of the plugin that it configures. */
export interface QueueConfig extends KernelConfig, PresetChoice {
  /** Plugins in addition to those of the preset. */
  plugins?: readonly AnyPlugin[]
  /**
   * Whether this instance starts workers. Set it to false for instances that only enqueue jobs, such as web servers whose
   * workers scale separately. Default true.
   */
  worker?: boolean
}

/** The settings of the kernel. All other keys are sections of plugins. */
const CORE_KEYS = [
  ...['jobs', 'payloadLimit', 'setupTimeout', 'maxCrashes'],
  ...['abortGrace', 'handlerGrace', 'maxStuckHandlers', 'workerWait'],
]

/** Sections that are allowed even if the preset does not use them, so that one configuration works with several presets. */
const OPTIONAL_SECTIONS = [...Object.keys(ADAPTERS), 'embedded', 'cli']

/** What only workers have. */
const WORKER_KEYS = ['concurrency', 'attempts', 'backoff', 'timeout', 'input', 'output', 'runtime']

/**
 * Returns the configuration of an application unchanged, and gives it its type. In the file of a worker, use
 * `defineWorkerConfig`.
 *
 * @throws QueueError `CONFIG_INVALID` for the config of a worker
 * @example
 * // nuxt-queue.config.ts
 * export default defineConfig({ adapter: 'memory', jobs: { attempts: 3 } })
 */
export function defineConfig(config: QueueConfig): QueueConfig {
  const key = WORKER_KEYS.find((one) => one in config)
  if (key !== undefined) throw workersKey(key)
  return config
}

/**
 * Converts a configuration to the options of the kernel. It resolves the preset, applies `NUXT_QUEUE_*` variables, which take
 * precedence, and checks the names of the sections.
 *
 * @throws QueueError `PRESET_UNKNOWN`, or `CONFIG_INVALID` for an unknown key
 */
export async function resolveConfig(config: QueueConfig, environment: PresetEnvironment = {}): Promise<KernelOptions> {
  const env = environment.env ?? process.env
  const plugins = config.plugins ?? []
  const preset = await choosePreset(config, environment, env)
  const ordered = orderPlugins(preset, plugins)
  const used = ordered.map(sectionOf)
  const fromEnv = configFromEnv(env, [...used, ...OPTIONAL_SECTIONS, 'jobs'], {
    keys: ['preset', 'adapter', 'worker', ...CORE_KEYS, ...used, ...OPTIONAL_SECTIONS],
    schemas: new Map(ordered.map((plugin) => [sectionOf(plugin), plugin.options])),
  })
  if (config.worker !== undefined && typeof config.worker !== 'boolean') {
    throw invalid('Option "worker" of the configuration', 'true or false', config.worker, 'CONFIG_INVALID')
  }
  const { preset: _preset, adapter: _adapter, plugins: _own, worker: _host, ...sections } = defu(fromEnv, config)
  const kept: KernelConfig = {}
  for (const [key, value] of Object.entries(sections)) {
    if (CORE_KEYS.includes(key) || used.includes(key)) kept[key] = value
    else if (!OPTIONAL_SECTIONS.includes(key)) throw unknownSection(key, used)
  }
  return { preset, plugins, config: kept }
}

/** Resolves the preset. A variable that names a preset or an adapter overrides both settings of the configuration. */
function choosePreset(
  config: PresetChoice,
  environment: PresetEnvironment,
  env: NonNullable<PresetEnvironment['env']>,
): Promise<Preset> {
  const { preset, adapter } = configFromEnv(env, []) as { preset?: string; adapter?: string }
  if (adapter !== undefined) return resolvePreset({ adapter }, environment)
  if (preset !== undefined) return resolvePreset({ preset }, environment)
  return resolvePreset({ preset: config.preset, adapter: config.adapter }, environment)
}

function sectionOf({ configKey, name }: AnyPlugin): string {
  return configKey ?? name
}

function workersKey(key: string): QueueError {
  const hint = `Move it into defineWorkerConfig() in the file of the worker; defaults of all jobs stand in the section "jobs".`
  return new QueueError('CONFIG_INVALID', `The configuration got "${key}", which is for one worker. ${hint}`)
}

function unknownSection(key: string, used: readonly string[]): QueueError {
  if (WORKER_KEYS.includes(key)) return workersKey(key)
  const known = ['preset', 'adapter', 'plugins', ...CORE_KEYS, 'worker', ...used, ...OPTIONAL_SECTIONS]
  return unknownKey('The configuration', key, [...new Set(known)], 'CONFIG_INVALID')
}
