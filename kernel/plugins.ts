import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { AnyPlugin, KernelConfig, Preset } from '../contracts/index.ts'
import { QueueError } from './errors.ts'

/** Returns the chain of presets, starting with the most general preset. */
export function presetChain(preset: Preset | undefined): Preset[] {
  return preset ? [...presetChain(preset.extends), preset] : []
}

/**
 * Returns the plugins of a preset and then the user's, sorted by `enforce`. The sort is stable.
 *
 * @throws QueueError `PLUGIN_INVALID`, `PLUGIN_DUPLICATE`
 */
export function orderPlugins(preset: Preset | undefined, own: readonly AnyPlugin[]): AnyPlugin[] {
  const plugins = new Map<string, AnyPlugin>()
  for (const layer of presetChain(preset)) {
    for (const plugin of checked(layer.plugins ?? [], [])) plugins.set(plugin.name, plugin)
  }
  for (const plugin of checked(own, plugins.keys())) plugins.set(plugin.name, plugin)
  return [...plugins.values()].toSorted((a, b) => pluginRank(a) - pluginRank(b))
}

/** Returns -1, 0 or 1. The plugin with the smallest rank is outermost. */
export function pluginRank({ enforce }: AnyPlugin): number {
  return enforce === 'pre' ? -1 : enforce === 'post' ? 1 : 0
}

function checked(plugins: readonly AnyPlugin[], taken: Iterable<string>): readonly AnyPlugin[] {
  const names = new Set(taken)
  for (const plugin of plugins) {
    const { name, setup } = (plugin ?? {}) as Partial<AnyPlugin>
    if (typeof name !== 'string' || name === '' || typeof setup !== 'function') {
      const expected = 'A plugin is an object with a name and a setup function, made with definePlugin()'
      throw new QueueError('PLUGIN_INVALID', `${expected}; got a ${typeof plugin}. If it is a factory, call it.`)
    }
    if (names.has(name)) {
      const message = `Two plugins are called "${name}". Remove one, or give it another name.`
      throw new QueueError('PLUGIN_DUPLICATE', message, { plugin: name })
    }
    names.add(name)
  }
  return plugins
}

/**
 * Returns the options of a plugin from its section of the configuration.
 *
 * @throws QueueError `CONFIG_INVALID` that lists the known options
 */
export async function parseOptions(plugin: AnyPlugin, config: KernelConfig): Promise<unknown> {
  const key = plugin.configKey ?? plugin.name
  const schema: (StandardSchemaV1 & { shape?: object }) | undefined = plugin.options
  const given = config[key]
  if (!schema && given === undefined) return undefined
  const result = await schema?.['~standard'].validate(given ?? {})
  if (result && !result.issues) return result.value
  const issues = (result?.issues ?? []).map(
    ({ path, message }) => `\n  - ${path?.map(String).join('.') ?? ''} ${message}`,
  )
  const known = Object.keys(schema?.shape ?? {}).join(', ') || 'none'
  const message = `Configuration "${key}" is not valid for plugin "${plugin.name}":${issues.join('')}`
  throw new QueueError('CONFIG_INVALID', `${message}\nIts options are: ${known}.`, { plugin: plugin.name })
}
