import { QueueError, type Preset } from '../kernel/index.ts'

/** The presets of this package by name, each loaded when it is asked for: an adapter costs its share of the start. */
const PRESETS: Readonly<Record<string, () => Promise<{ default: Preset }>>> = {
  dev: () => import('./dev.ts'),
  'dev-file': () => import('./dev-file.ts'),
  embedded: () => import('./embedded.ts'),
  'prod-redis': () => import('./prod-redis.ts'),
  'prod-postgres': () => import('./prod-postgres.ts'),
  test: () => import('./test.ts'),
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
export async function resolvePreset(choice: PresetChoice = {}, environment: PresetEnvironment = {}): Promise<Preset> {
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

async function lookUp(name: string): Promise<Preset> {
  const load = Object.hasOwn(PRESETS, name) ? PRESETS[name] : undefined
  if (load) return (await load()).default
  const known = Object.keys(PRESETS)
  throw new QueueError('PRESET_UNKNOWN', `There is no preset "${name}". There are: ${known.join(', ')}.`, {
    details: { preset: name, known },
  })
}
