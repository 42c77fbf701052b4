import type { QueueConfig } from './config.ts'

/**
 * Loads `nuxt-queue.config.*`, `.env` and overrides from a folder.
 *
 * @param options.cwd default: the working directory
 * @param options.overrides what wins over the file, such as command line flags
 */
export async function loadQueueConfig(options: { cwd?: string; overrides?: QueueConfig } = {}): Promise<QueueConfig> {
  // Takes longer to load than all the rest of this package together, and isolated workers never use it.
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
