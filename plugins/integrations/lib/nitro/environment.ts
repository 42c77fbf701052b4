import type { KernelConfig } from '../../../../kernel/index.ts'

/** Options that are usually written as `process.env.X`, and the variable that is meant. */
const USUAL = [
  ['REDIS_URL', 'redis.url'],
  ['DATABASE_URL', 'postgres.url'],
  ['DATABASE_URL', 'postgres.connectionString'],
] as const

/**
 * Which options hold what a variable of the environment holds while this is built. A config such as
 * `redis: { url: process.env.REDIS_URL }` is read by the build; whoever writes it means the start.
 */
export function environmentReads(config: KernelConfig, env: NodeJS.ProcessEnv): Record<string, string> {
  const reads = USUAL.filter(([variable, path]) => {
    const [section, key] = path.split('.') as [string, string]
    const value = (config[section] as Record<string, unknown> | undefined)?.[key]
    return value !== undefined && value === env[variable]
  })
  return Object.fromEntries(reads)
}
