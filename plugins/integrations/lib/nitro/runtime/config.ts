import { defu } from 'defu'
import type { Kernel, KernelConfig } from '../../../../../kernel/index.ts'
import type { BundledWorker } from '../../../../jobs/lib/worker-files.ts'
import { workerSwitch } from '../../worker-switch.ts'

/** What `nuxt-queue.config.ts` and the `queue` section of a framework's config hold. */
export type AppConfig = KernelConfig & {
  preset?: unknown
  adapter?: string
  /** False in instances that only queue jobs. Default true. */
  worker?: boolean
}

/** What the build knows of an application. */
export interface QueueApp {
  config: AppConfig
  runtimeConfig: unknown
  /** What all paths of the application begin with, such as `/` or `/shop/`. */
  baseURL: string
  bundled: Record<string, BundledWorker>
  files: Record<string, string>
  build: {
    dev: boolean
    fromEnvironment: Record<string, string>
    folder: string | undefined
    path: string
    /** In development: what the development server vouches with for requests from this machine. */
    secret: string | undefined
  }
  createKernel: (options: { config: KernelConfig }) => Promise<Kernel>
}

/** Milliseconds that a server which starts waits for the one before it to let go of a folder. */
const LOCK_TIMEOUT = 9000

/** What the runtime config of the framework is read from, which isolated workers may ask for too. */
const FRAMEWORK_VARIABLES = ['NUXT_*', 'NITRO_*']

export interface ResolvedAppConfig {
  worker: boolean
  config: KernelConfig
}

/** Puts together what is configured where, and what the build found. */
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
    registry: { ...(rest.registry as object), dirs: [], bundled: app.bundled, files: app.files },
  }
  return {
    worker: workerSwitch(env) ?? worker,
    config: app.build.dev ? forDevelopment(config, app.build.folder, env) : forProduction(config),
  }
}

/** What is built is production, whatever NODE_ENV says, unless the configuration says otherwise. */
function forProduction(config: KernelConfig): KernelConfig {
  return defu(config, { http: { production: true } })
}

/**
 * A reload starts the next server before this one has ended. What lies in memory would be lost with
 * it, so it goes into a folder that lives as long as the command; and folders are waited for.
 */
function forDevelopment(config: KernelConfig, folder: string | undefined, env: NodeJS.ProcessEnv): KernelConfig {
  const waiting = defu(config, { file: { lockTimeout: LOCK_TIMEOUT }, embedded: { lockTimeout: LOCK_TIMEOUT } })
  const named = env.NUXT_QUEUE_PRESET ?? env.NUXT_QUEUE_ADAPTER ?? config.preset ?? config.adapter ?? 'memory'
  if (folder === undefined || (named !== 'memory' && named !== 'dev')) return waiting
  delete env.NUXT_QUEUE_PRESET
  delete env.NUXT_QUEUE_ADAPTER
  const { preset: _preset, adapter: _adapter, memory, ...others } = waiting
  const file = { ...(memory as object), path: folder, fsync: 'never', lockTimeout: LOCK_TIMEOUT }
  return { ...others, preset: 'dev-file', file }
}
