import { lstatSync, mkdirSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { isAbsolute, join } from 'pathe'

/** What a file that holds data of jobs may be opened with: by its owner alone. */
export const PRIVATE_FILE = 0o600
export const PRIVATE_FOLDER = 0o700
const NAME = 'nuxt-queue'

/**
 * A folder for caches and sockets that no other user can read, plant or replace: in `XDG_CACHE_HOME`, else
 * `~/.cache`, else below the temporary folder, where anybody may make one of that name. Returns `undefined` where
 * there is none that belongs to this user alone; go without then.
 */
export function privateFolder(env: NodeJS.ProcessEnv = process.env): string | undefined {
  const cache = env.XDG_CACHE_HOME
  const candidates = [
    ...(cache !== undefined && isAbsolute(cache) ? [join(cache, NAME)] : []),
    ...(env.HOME === undefined ? [] : [join(homedir(), '.cache', NAME)]),
    join(tmpdir(), `${NAME}-${process.getuid?.() ?? 'user'}`),
  ]
  return candidates.find(isPrivate)
}

function isPrivate(folder: string): boolean {
  try {
    mkdirSync(folder, { recursive: true, mode: PRIVATE_FOLDER })
    return isOwnersAlone(folder)
  } catch {
    return false
  }
}

/** Whether a path is a folder, no link to one, that belongs to this user and that nobody else may enter. */
export function isOwnersAlone(folder: string): boolean {
  const stat = lstatSync(folder)
  if (!stat.isDirectory()) return false
  // Windows gives each user a temporary folder of its own, and has no such bits.
  return process.getuid === undefined || (stat.uid === process.getuid() && (stat.mode & 0o077) === 0)
}
