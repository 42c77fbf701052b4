import { createHash } from 'node:crypto'
import { join, resolve } from 'pathe'
import { QueueError } from '../../../kernel/index.ts'
import { privateFolder } from '../../lib/private-folder.ts'

/** The longest socket path every system takes; macOS ends at 104 bytes with the zero. */
const LONGEST_PATH = 103

/**
 * Where the dev process of a folder listens: `.nuxt-queue/dev.sock` in it; in a folder that belongs to this user
 * alone if that path is too long for a socket; a named pipe on Windows.
 *
 * @throws QueueError `CONFIG_INVALID` where no such folder can be had
 */
export function socketPath(cwd: string): string {
  const folder = resolve(cwd)
  const hash = createHash('sha256').update(folder).digest('hex').slice(0, 16)
  if (process.platform === 'win32') return `\\\\.\\pipe\\nuxt-queue-${hash}`
  const path = join(folder, '.nuxt-queue', 'dev.sock')
  if (Buffer.byteLength(path) <= LONGEST_PATH) return path
  const own = privateFolder()
  if (own !== undefined) return join(own, `${hash}.sock`)
  const hint = 'Set XDG_CACHE_HOME to a folder that belongs to you alone'
  throw new QueueError('CONFIG_INVALID', `${path} is too long for a socket, and no other folder is private. ${hint}.`)
}
