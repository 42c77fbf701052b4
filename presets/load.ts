import type { QueueConfig } from './config.ts'

/**
 * Loads `nuxt-queue.config.*`, `.env` and overrides from a folder.
 *
 * @param options.cwd the folder. Default: the working directory
 * @param options.overrides settings that take precedence over the file, such as command line flags
 */
export async function loadQueueConfig(options: { cwd?: string; overrides?: QueueConfig } = {}): Promise<QueueConfig> {
  // Imported on demand: it takes longer to load than the rest of this package, and isolated workers never need it.
  const { loadConfig } = await import('c12')
  const { config } = await loadConfig<QueueConfig>({
    name: 'nuxt-queue',
    cwd: options.cwd,
    overrides: options.overrides,
    dotenv: true,
    rcFile: false,
    packageJson: false,
  })
  return config
}
