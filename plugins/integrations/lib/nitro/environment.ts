import type { KernelConfig } from '../../../../kernel/index.ts'

/** Options that are usually set to `process.env.X`, and their variables. */
const COMMON_VARIABLES = [
  ['REDIS_URL', 'redis.url'],
  ['DATABASE_URL', 'postgres.url'],
  ['DATABASE_URL', 'postgres.connectionString'],
] as const

/**
 * Returns the options whose value equals an environment variable during the build. The build evaluates a config such as
 * `redis: { url: process.env.REDIS_URL }`, but its author means the value at the start.
 */
export function environmentReads(config: KernelConfig, env: NodeJS.ProcessEnv): Record<string, string> {
  const reads = COMMON_VARIABLES.filter(([variable, path]) => {
    const [section, key] = path.split('.') as [string, string]
    const value = (config[section] as Record<string, unknown> | undefined)?.[key]
    return value !== undefined && value === env[variable]
  })
  return Object.fromEntries(reads)
}
