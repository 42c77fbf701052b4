import { defu } from 'defu'
import {
  invalid,
  orderPlugins,
  unknownKey,
  type QueueError,
  type AnyPlugin,
  type KernelConfig,
  type KernelOptions,
  type Preset,
} from '../kernel/index.ts'
import { configFromEnv } from './env.ts'
import { ADAPTERS, resolvePreset, type PresetChoice, type PresetEnvironment } from './resolve.ts'

/** What `nuxt-queue.config.ts` exports. Sections are named after the plugins they configure. */
export interface QueueConfig extends KernelConfig, PresetChoice {
  plugins?: readonly AnyPlugin[]
  /**
   * For what runs a kernel: whether it starts workers. False in instances that only queue jobs, such
   * as web servers whose workers scale apart. Default true.
   */
  worker?: boolean
}

/** Settings of the kernel itself, beside the sections of plugins. */
const CORE_KEYS = [
  ...['jobs', 'payloadLimit', 'setupTimeout', 'maxCrashes'],
  ...['abortGrace', 'handlerGrace', 'maxStuckHandlers', 'workerWait'],
]

/** Sections that may be configured although the preset at hand has no use for them: one config serves many. */
const ADAPTER_SECTIONS = [...Object.keys(ADAPTERS), 'embedded']

/**
 * Types a configuration and hands it back unchanged.
 *
 * @example
 * // nuxt-queue.config.ts
 * export default defineConfig({ adapter: 'memory', jobs: { attempts: 3 } })
 */
export function defineConfig(config: QueueConfig): QueueConfig {
  return config
}

/**
 * Turns a configuration into what the kernel takes: the preset chosen, `NUXT_QUEUE_*` variables put
 * over everything, sections checked.
 *
 * @throws QueueError `PRESET_UNKNOWN`; `CONFIG_INVALID` for a key that nothing takes
 */
export async function resolveConfig(config: QueueConfig, environment: PresetEnvironment = {}): Promise<KernelOptions> {
  const env = environment.env ?? process.env
  const plugins = config.plugins ?? []
  const preset = await choosePreset(config, environment, env)
  const ordered = orderPlugins(preset, plugins)
  const used = ordered.map(sectionOf)
  const fromEnv = configFromEnv(env, [...used, ...ADAPTER_SECTIONS, 'jobs'], {
    keys: ['preset', 'adapter', 'worker', ...CORE_KEYS, ...used, ...ADAPTER_SECTIONS],
    schemas: new Map(ordered.map((plugin) => [sectionOf(plugin), plugin.options])),
  })
  if (config.worker !== undefined && typeof config.worker !== 'boolean') {
    throw invalid('Option "worker" of the configuration', 'true or false', config.worker, 'CONFIG_INVALID')
  }
  const { preset: _preset, adapter: _adapter, plugins: _own, worker: _host, ...sections } = defu(fromEnv, config)
  const kept: KernelConfig = {}
  for (const [key, value] of Object.entries(sections)) {
    if (CORE_KEYS.includes(key) || used.includes(key)) kept[key] = value
    else if (!ADAPTER_SECTIONS.includes(key)) throw unknownSection(key, used)
  }
  return { preset, plugins, config: kept }
}

/** A variable that names a preset or an adapter puts both of those configured out of force. */
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

function unknownSection(key: string, used: readonly string[]): QueueError {
  const known = ['preset', 'adapter', 'plugins', ...CORE_KEYS, 'worker', ...used, ...ADAPTER_SECTIONS]
  return unknownKey('The configuration', key, [...new Set(known)], 'CONFIG_INVALID')
}
