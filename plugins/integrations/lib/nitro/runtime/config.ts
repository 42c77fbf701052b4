import { defu } from 'defu'
import type { AnyPlugin, Kernel, KernelConfig } from '../../../../../kernel/index.ts'
import type { BundledWorker } from '../../../../jobs/lib/worker-files.ts'
import { workerSwitch } from '../../worker-switch.ts'
import type { AppModule } from '../app-module.ts'

/** The options of `nuxt-queue.config.ts` and of the section `queue` of a framework's config. */
export type AppConfig = KernelConfig & {
  preset?: unknown
  adapter?: string
  /** Whether the server runs jobs. Set false in servers that only enqueue jobs. Default true. */
  worker?: boolean
}

/** The facts about an application that the build knows. */
export interface QueueApp {
  config: AppConfig
  runtimeConfig: unknown
  /** The base URL of the application, such as `/` or `/shop/`. */
  baseURL: string
  bundled: Record<string, BundledWorker>
  files: Record<string, string>
  build: Omit<AppModule, 'configFile'>
  /** Plugins that this build adds to the plugins of the configuration. */
  plugins?: readonly AnyPlugin[]
  createKernel: (options: { config: KernelConfig; plugins?: readonly AnyPlugin[] }) => Promise<Kernel>
}

/** How long a new server waits until the previous one releases a folder, in milliseconds. */
const LOCK_TIMEOUT = 9000

/** The variables of the framework's runtime config, which isolated workers may read too. */
const FRAMEWORK_VARIABLES = ['NUXT_*', 'NITRO_*']

export interface ResolvedAppConfig {
  worker: boolean
  /** The adapter or the preset that was chosen, by name. */
  storage: string
  config: KernelConfig
}

/** Merges all configurations with the results of the build. */
export function resolveAppConfig(app: QueueApp, env: NodeJS.ProcessEnv = process.env): ResolvedAppConfig {
  const merged = defu(app.runtimeConfig as AppConfig, app.config)
  for (const [variable, path] of Object.entries(app.build.fromEnvironment)) {
    const [section, key] = path.split('.') as [string, string]
    const value = env[variable]
    if (value) merged[section] = { ...(merged[section] as object), [key]: value }
  }
  const { worker = true, ...rest } = merged
  const config: KernelConfig = {
    ...defu(rest, { isolated: { inheritEnv: FRAMEWORK_VARIABLES } }),
    registry: { ...rest.registry, dirs: [], bundled: app.bundled, files: app.files },
  }
  return {
    worker: workerSwitch(env) ?? worker,
    storage: storageOf(config, env),
    config: app.build.dev ? forDevelopment(config, app.build, env) : forProduction(config),
  }
}

function storageOf({ preset, adapter }: KernelConfig, env: NodeJS.ProcessEnv): string {
  const own = typeof preset === 'string' ? preset : (preset as { name?: string } | undefined)?.name
  return env.NUXT_QUEUE_PRESET ?? env.NUXT_QUEUE_ADAPTER ?? own ?? (adapter as string | undefined) ?? 'memory'
}

/** Treats a build as production, regardless of NODE_ENV, unless the configuration says otherwise. */
function forProduction(config: KernelConfig): KernelConfig {
  return defu(config, { http: { production: true } })
}

/**
 * Prepares for reloads, which start the next server before this one has ended. Jobs in memory would be lost, so they are
 * kept in a folder that exists as long as the command runs. The next server waits until the folder is released.
 */
function forDevelopment(
  config: KernelConfig,
  { folder, root }: QueueApp['build'],
  env: NodeJS.ProcessEnv,
): KernelConfig {
  const ours: KernelConfig = {
    file: { lockTimeout: LOCK_TIMEOUT },
    embedded: { lockTimeout: LOCK_TIMEOUT },
    cli: { cwd: root, level: 'info', wait: true },
  }
  const waiting = defu(config, ours)
  const named = storageOf(config, env)
  if (folder === undefined || (named !== 'memory' && named !== 'dev')) return waiting
  delete env.NUXT_QUEUE_PRESET
  delete env.NUXT_QUEUE_ADAPTER
  const { preset: _preset, adapter: _adapter, memory, ...others } = waiting
  const file: KernelConfig['file'] = { ...memory, path: folder, fsync: 'never', lockTimeout: LOCK_TIMEOUT }
  return { ...others, preset: 'dev-file', file }
}
