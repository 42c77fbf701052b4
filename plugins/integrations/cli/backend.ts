import { resolve } from 'pathe'
import {
  defineQueueWorker,
  defineWorkerConfig,
  QueueError,
  type AnyPlugin,
  type KernelConfig,
  type Kernel,
  type Preset,
  type Reporter,
} from '../../../kernel/index.ts'
import { createAnswers } from './answers.ts'
import { connect } from './client.ts'
import { kernelBackend } from './history.ts'
import { errorReporter, reporter } from './output.ts'
import type { Backend } from './protocol.ts'

/** A configuration as it is written in its file. */
export type LoadedConfig = KernelConfig & { plugins?: readonly AnyPlugin[] }

/** Parts of the package that the commands need and that plugins do not import. */
export interface Host {
  createKernel(options: {
    config: LoadedConfig
    plugins?: readonly AnyPlugin[]
    reporter: Reporter
    production?: boolean
  }): Promise<Kernel>
  loadQueueConfig(options: { cwd: string }): Promise<LoadedConfig>
  /** The preset that keeps everything in memory. */
  memory(): Promise<Preset>
}

/** Returns the configuration of a folder, with paths relative to the folder. */
export async function configOf(host: Host, cwd: string): Promise<LoadedConfig> {
  const config = await host.loadQueueConfig({ cwd })
  const { registry } = config
  return { ...config, registry: { ...registry, rootDir: resolve(cwd, registry?.rootDir ?? '.') } }
}

/** Returns a configuration whose API this machine may use. A user who can read the configuration of the store may do everything. */
export function openToThisMachine({ http, ...config }: LoadedConfig): LoadedConfig {
  const { authorize: _authorize, token: _token, ...others } = http ?? {}
  return { ...config, http: { ...others, production: false } }
}

/**
 * Connects to the backend of a folder: the dev process if one runs, or otherwise the shared store that its
 * configuration names.
 *
 * @throws QueueError `DEV_MISSING` if jobs are kept in a dev process and none runs
 */
export async function openBackend(host: Host, cwd: string, reports: Reporter = errorReporter): Promise<Backend> {
  const dev = await connect(cwd)
  if (dev) return dev
  const kernel = await openKernel(host, cwd, await configOf(host, cwd), reports)
  return kernelBackend(createAnswers(kernel, cwd), async () => void (await kernel.close()))
}

/**
 * Creates a kernel for the store of a folder.
 *
 * @throws QueueError `DEV_MISSING` if jobs are kept in the memory of another process
 */
export async function openKernel(
  host: Host,
  cwd: string,
  config: LoadedConfig,
  reports: Reporter = reporter,
): Promise<Kernel> {
  // A shell that names a store is that of a server, also without NODE_ENV.
  const production = namesStore(process.env) || undefined
  // In Nuxt and Nitro, worker files import nothing, and a command reads their configs without a build.
  Object.assign(globalThis, { defineQueueWorker, defineWorkerConfig })
  const kernel = await host.createKernel({ config, reporter: reports, production })
  const { shared, durable } = kernel.port('queue').capabilities
  if (shared || durable) return kernel
  await kernel.close()
  const hint = `Start it in another terminal: npx nuxt-queue dev --cwd ${cwd}`
  throw new QueueError(
    'DEV_MISSING',
    `Jobs are kept in the memory of a dev process, and no dev process runs in ${cwd}. ${hint}`,
  )
}

function namesStore({ REDIS_URL, DATABASE_URL }: NodeJS.ProcessEnv): boolean {
  return Boolean(REDIS_URL || DATABASE_URL)
}
