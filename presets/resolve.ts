import { QueueError, type Preset } from '../kernel/index.ts'
import dev from './dev.ts'
import devFile from './dev-file.ts'
import prodPostgres from './prod-postgres.ts'
import prodRedis from './prod-redis.ts'
import test from './test.ts'

/** The presets of this package by name. */
export const presets: Readonly<Record<string, Preset>> = {
  dev,
  'dev-file': devFile,
  'prod-redis': prodRedis,
  'prod-postgres': prodPostgres,
  test,
}

/** The names the brief option `adapter` takes, and the presets they stand for. */
export const ADAPTERS: Readonly<Record<string, string>> = {
  memory: 'dev',
  file: 'dev-file',
  redis: 'prod-redis',
  postgres: 'prod-postgres',
}

export interface PresetChoice {
  /** A preset's name, or a preset of your own. */
  preset?: string | Preset
  /** The storage: short for the preset that uses it. */
  adapter?: string
}

export interface PresetEnvironment {
  /** `process.env` by default. */
  env?: Readonly<Record<string, string | undefined>>
  /** Default: whether `NODE_ENV` is `production`. */
  production?: boolean
}

/**
 * The preset to use: what is named, else by the environment. In development that is `dev`; in
 * production `REDIS_URL` chooses `prod-redis`, `DATABASE_URL` `prod-postgres`.
 *
 * @throws QueueError `PRESET_UNKNOWN` that lists what there is; `CONFIG_INVALID` when nothing is named in production
 */
export function resolvePreset(choice: PresetChoice = {}, environment: PresetEnvironment = {}): Preset {
  if (typeof choice.preset === 'object') return choice.preset
  return lookUp(presetName({ ...choice, preset: choice.preset }, environment))
}

/** The name that `resolvePreset` looks up. */
export function presetName(
  { preset, adapter }: { preset?: string; adapter?: string },
  { env = process.env, production = env.NODE_ENV === 'production' }: PresetEnvironment = {},
): string {
  if (preset !== undefined) return preset
  if (adapter !== undefined) {
    const name = Object.hasOwn(ADAPTERS, adapter) ? ADAPTERS[adapter] : undefined
    if (name !== undefined) return name
    const known = Object.keys(ADAPTERS).join(', ')
    throw new QueueError('PRESET_UNKNOWN', `There is no adapter "${adapter}". There are: ${known}.`)
  }
  if (!production) return 'dev'
  if (env.REDIS_URL) return 'prod-redis'
  if (env.DATABASE_URL) return 'prod-postgres'
  const hint = 'Set REDIS_URL or DATABASE_URL, or name a preset or an adapter in the configuration.'
  throw new QueueError('CONFIG_INVALID', `In production the queue needs to know where to keep its jobs. ${hint}`)
}

function lookUp(name: string): Preset {
  const preset = Object.hasOwn(presets, name) ? presets[name] : undefined
  if (preset) return preset
  const known = Object.keys(presets).join(', ')
  throw new QueueError('PRESET_UNKNOWN', `There is no preset "${name}". There are: ${known}.`, {
    details: { preset: name, known: Object.keys(presets) },
  })
}
