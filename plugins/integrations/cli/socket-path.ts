import { createHash } from 'node:crypto'
import { dirname, join, resolve } from 'pathe'
import { QueueError } from '../../../kernel/index.ts'
import { isOwners, privateFolder } from '../../lib/private-folder.ts'

/** The longest socket path that every system accepts. macOS accepts 104 bytes including the zero. */
const MAX_PATH = 103

/**
 * Returns where the dev process of a folder listens: `.nuxt-queue/dev.sock` in the folder, or a named pipe on Windows.
 * If that path is too long for a socket, or `.nuxt-queue` is a link or belongs to another user, the socket is in another
 * folder that belongs only to this user.
 *
 * @throws QueueError `CONFIG_INVALID` if there is no such folder
 */
export function socketPath(cwd: string): string {
  const folder = resolve(cwd)
  const hash = createHash('sha256').update(folder).digest('hex').slice(0, 16)
  if (process.platform === 'win32') return `\\\\.\\pipe\\nuxt-queue-${hash}`
  const path = join(folder, '.nuxt-queue', 'dev.sock')
  if (isFreeOrOwn(dirname(path)) && Buffer.byteLength(path) <= MAX_PATH) return path
  const own = privateFolder()
  if (own !== undefined) return join(own, `${hash}.sock`)
  const hint = 'Set XDG_CACHE_HOME to a folder that belongs only to you'
  throw new QueueError('CONFIG_INVALID', `No socket can be at ${path}, and no other folder is private. ${hint}.`)
}

function isFreeOrOwn(folder: string): boolean {
  try {
    return isOwners(folder)
  } catch {
    return true
  }
}
