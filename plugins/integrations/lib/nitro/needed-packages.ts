import { existsSync } from 'node:fs'
import { dirname, join } from 'pathe'

const REDIS = ['bullmq', 'ioredis']
const POSTGRES = ['pg', 'pg-boss']
/** The packages that a store needs, by the names of its preset and its adapter. */
const NEEDED: Readonly<Record<string, readonly string[]>> = {
  redis: REDIS,
  'prod-redis': REDIS,
  postgres: POSTGRES,
  'prod-postgres': POSTGRES,
  embedded: ['@electric-sql/pglite', 'pg-boss'],
}
const REBUILD_HINT = 'Build the server again after that, because a build contains only packages that were installed.'

/** The facts about the store that a build knows. */
export interface StoreChoice {
  preset?: unknown
  adapter?: unknown
  /** Whether a file of the application may name the store as well. */
  hasConfigFile: boolean
}

/**
 * Returns a warning if packages are missing that the server will need when it starts. A build does not know the environment variables of
 * the server. Without a named store, it therefore warns only if no store for production can work.
 */
export function missingPackages(store: StoreChoice, root: string, env: NodeJS.ProcessEnv): string | undefined {
  const named = env.NUXT_QUEUE_PRESET ?? env.NUXT_QUEUE_ADAPTER ?? store.preset ?? store.adapter
  const missingOf = (names: readonly string[]): string[] => names.filter((name) => !isInstalled(name, root))
  if (typeof named === 'string') {
    const missing = missingOf(NEEDED[named] ?? [])
    if (missing.length === 0) return undefined
    return `The store "${named}" needs packages that are not installed. Run: npm install ${missing.join(' ')}. ${REBUILD_HINT}`
  }
  if (named !== undefined || store.hasConfigFile) return undefined
  const [redis, postgres] = [missingOf(REDIS), missingOf(POSTGRES)]
  if (redis.length === 0 || postgres.length === 0) return undefined
  const use = 'In production the queue uses the store that REDIS_URL or DATABASE_URL names'
  const run = `Run: npm install ${redis.join(' ')} for Redis, or npm install ${postgres.join(' ')} for PostgreSQL`
  return `${use}, and the packages of neither are installed. ${run}. ${REBUILD_HINT}`
}

/** Whether a package is installed for the files of a folder. */
function isInstalled(name: string, folder: string): boolean {
  // Plug'n'Play has no folders of packages.
  if (process.versions.pnp !== undefined) return true
  if (existsSync(join(folder, 'node_modules', name, 'package.json'))) return true
  const parent = dirname(folder)
  return parent !== folder && isInstalled(name, parent)
}
