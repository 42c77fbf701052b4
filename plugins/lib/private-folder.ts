import { lstatSync, mkdirSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { isAbsolute, join } from 'pathe'

/** The modes of files and folders that hold data of jobs: only the owner has access. */
export const PRIVATE_FILE = 0o600
export const PRIVATE_FOLDER = 0o700
const NAME = 'nuxt-queue'

/**
 * Returns a folder for caches and sockets that no other user can read, create or replace. Tries `XDG_CACHE_HOME`,
 * then `~/.cache`, then the temporary folder, where another user may already have created a folder of that name.
 * Returns `undefined` if none of them belongs to the current user alone. The caller then works without a folder.
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

/** Returns whether a path is a folder (not a link) that belongs to the current user and that no other user may enter. */
export function isOwnersAlone(folder: string): boolean {
  // Windows has no such permission bits, and gives each user a separate temporary folder.
  return isOwners(folder) && (process.getuid === undefined || (lstatSync(folder).mode & 0o077) === 0)
}

/** Returns whether a path is a folder (not a link) that belongs to the current user. */
export function isOwners(folder: string): boolean {
  const stat = lstatSync(folder)
  return stat.isDirectory() && (process.getuid === undefined || stat.uid === process.getuid())
}
