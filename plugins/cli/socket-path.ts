import { createHash } from 'node:crypto'
import { tmpdir, userInfo } from 'node:os'
import { join, resolve } from 'pathe'

/** The longest socket path every system takes; macOS ends at 104 bytes with the zero. */
const LONGEST_PATH = 103

/**
 * Where the dev process of a folder listens: `.nuxt-queue/dev.sock` in it, a folder of the user's
 * under the system's temporary one if that path is too long for a socket, a named pipe on Windows.
 */
export function socketPath(cwd: string): string {
  const folder = resolve(cwd)
  const hash = createHash('sha256').update(folder).digest('hex').slice(0, 16)
  if (process.platform === 'win32') return `\\\\.\\pipe\\nuxt-queue-${hash}`
  const path = join(folder, '.nuxt-queue', 'dev.sock')
  if (Buffer.byteLength(path) <= LONGEST_PATH) return path
  return join(tmpdir(), `nuxt-queue-${userInfo().uid}`, `${hash}.sock`)
}
