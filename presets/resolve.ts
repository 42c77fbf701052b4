import { didYouMean, QueueError, type Preset } from '../kernel/index.ts'

/** The presets of this package by name. Each is loaded on demand, because loading an adapter takes time. */
const PRESETS: Readonly<Record<string, () => Promise<{ default: Preset }>>> = {
  dev: () => import('./dev.ts'),
  'dev-file': () => import('./dev-file.ts'),
  embedded: () => import('./embedded.ts'),
  'prod-redis': () => import('./prod-redis.ts'),
  'prod-postgres': () => import('./prod-postgres.ts'),
  test: () => import('./test.ts'),
}

/** The values of the option `adapter`, and the preset of each. */
export const ADAPTERS: Readonly<Record<string, string>> = {
  memory: 'dev',
  file: 'dev-file',
  redis: 'prod-redis',
  postgres: 'prod-postgres',
}

export interface PresetChoice {
  /** The name of a preset, or your own preset. */
  preset?: string | Preset
  /** The storage: `memory`, `file`, `redis` or `postgres`. It selects the preset that uses it. */
  adapter?: string
}

export interface PresetEnvironment {
  /** The environment variables. Default: `process.env`. */
  env?: Readonly<Record<string, string | undefined>>
  /** Whether this is production. Default: true if `NODE_ENV` is `production`. */
  production?: boolean
}

/**
 * Resolves the preset to use. If the choice names none, the environment decides: in development, it is `dev`. In production, it
 * is `prod-redis` if `REDIS_URL` is set, or else `prod-postgres` if `DATABASE_URL` is set.
 *
 * @throws QueueError `PRESET_UNKNOWN`, which lists the known names, or `CONFIG_INVALID` if no preset can be chosen in production
 */
export async function resolvePreset(choice: PresetChoice = {}, environment: PresetEnvironment = {}): Promise<Preset> {
  if (typeof choice.preset === 'object') return choice.preset
  return lookUp(presetName({ ...choice, preset: choice.preset }, environment))
}

/** Returns the name of the preset that `resolvePreset` would load. */
export function presetName(
  { preset, adapter }: { preset?: string; adapter?: string },
  { env = process.env, production = env.NODE_ENV === 'production' }: PresetEnvironment = {},
): string {
  if (preset !== undefined) return preset
  if (adapter !== undefined) {
    const name = Object.hasOwn(ADAPTERS, adapter) ? ADAPTERS[adapter] : undefined
    if (name !== undefined) return name
    const known = Object.keys(ADAPTERS)
    const hint = `${didYouMean(adapter, known)} Use one of: ${known.join(', ')}.`
    throw new QueueError('PRESET_UNKNOWN', `Unknown adapter "${adapter}".${hint}`)
  }
  if (!production) return 'dev'
  if (env.REDIS_URL) return 'prod-redis'
  if (env.DATABASE_URL) return 'prod-postgres'
  const hint = 'Set REDIS_URL or DATABASE_URL, or set "preset" or "adapter" in the configuration.'
  throw new QueueError('CONFIG_INVALID', `No storage is configured for production. ${hint}`)
}

async function lookUp(name: string): Promise<Preset> {
  const load = Object.hasOwn(PRESETS, name) ? PRESETS[name] : undefined
  if (load) return (await load()).default
  const known = Object.keys(PRESETS)
  throw new QueueError(
    'PRESET_UNKNOWN',
    `Unknown preset "${name}".${didYouMean(name, known)} Use one of: ${known.join(', ')}.`,
    {
      details: { preset: name, known },
    },
  )
}
