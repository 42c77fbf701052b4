import type { KernelOptions, Preset, ResolvedConfig } from '../contracts/index.ts'
import { checkKeys, EXPECTED, invalid, isCount, isDuration, isObject } from './bounds.ts'

const OPTIONS = ['preset', 'plugins', 'config', 'reporter', 'generateId']
const PRESET_KEYS = ['name', 'extends', 'plugins', 'config']

/** @throws QueueError `CONFIG_INVALID` */
export function checkKernelOptions(options: KernelOptions): void {
  checkKeys('createKernel()', options, OPTIONS, 'CONFIG_INVALID')
  const { preset, plugins, config, reporter, generateId } = options
  if (preset !== undefined) checkPreset(preset)
  if (plugins !== undefined && !Array.isArray(plugins)) throw wrong('plugins', 'an array of plugins', plugins)
  if (config !== undefined) checkObject('config', config)
  if (reporter !== undefined && !(isFunction(reporter?.warn) && isFunction(reporter.error))) {
    throw wrong('reporter', 'an object with functions warn and error', reporter)
  }
  if (generateId !== undefined && !isFunction(generateId)) throw wrong('generateId', 'a function', generateId)
}

function checkPreset(preset: Preset): void {
  if (typeof preset !== 'object' || preset === null || typeof preset.name !== 'string') {
    throw wrong('preset', 'a preset, made with definePreset({ name, plugins })', preset)
  }
  checkKeys(`Preset "${preset.name}"`, preset, PRESET_KEYS, 'CONFIG_INVALID')
  if (preset.extends !== undefined) checkPreset(preset.extends)
}

/**
 * Checks the settings of the kernel. The settings of plugins are checked by the plugins' schemas.
 *
 * @throws QueueError `CONFIG_INVALID`
 */
export function checkCoreConfig(config: ResolvedConfig): void {
  const { jobs, payloadLimit, setupTimeout, maxCrashes, maxStuckHandlers } = config
  checkObject('jobs', jobs)
  if (payloadLimit !== Infinity && !(Number.isSafeInteger(payloadLimit) && payloadLimit > 0)) {
    throw wrong('payloadLimit', 'a whole number of bytes above 0, or Infinity', payloadLimit)
  }
  if (setupTimeout === 0) throw wrong('setupTimeout', 'a number of milliseconds above 0', setupTimeout)
  for (const key of ['setupTimeout', 'abortGrace', 'handlerGrace', 'workerWait'] as const) {
    if (!isDuration(config[key])) throw wrong(key, EXPECTED.duration, config[key])
  }
  if (!isCount(maxCrashes)) throw wrong('maxCrashes', EXPECTED.count, maxCrashes)
  if (!isCount(maxStuckHandlers, 0)) throw wrong('maxStuckHandlers', EXPECTED.count, maxStuckHandlers)
}

function checkObject(option: string, value: unknown): void {
  if (!isObject(value)) throw wrong(option, 'an object', value)
}

function isFunction(value: unknown): boolean {
  return typeof value === 'function'
}

/** Returns the error for an invalid setting. */
function wrong(option: string, expected: string, value: unknown) {
  return invalid(`Option "${option}" of the configuration`, expected, value, 'CONFIG_INVALID')
}
