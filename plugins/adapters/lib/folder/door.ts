import { rmSync } from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { isMainThread } from 'node:worker_threads'
import { join } from 'pathe'

/**
 * Shows that a thread lives: a socket that the system closes with it. A process can be looked for by
 * its number, a thread of one cannot, and one that is terminated tidies nothing up.
 */
export interface Door {
  readonly path: string
  close(): void
}

/** Opens the door of this thread; the main one needs none, since it ends with its process. */
export async function openDoor(nonce: string): Promise<Door | undefined> {
  if (isMainThread) return undefined
  const path = doorPath(nonce)
  const server = createServer((socket) => socket.destroy()).unref()
  await listening(server, path)
  return {
    path,
    close() {
      server.close()
      if (path.startsWith('/')) rmSync(path, { force: true })
    },
  }
}

/** Whether the thread behind a door lives. */
export function isDoorOpen(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    const answer = (open: boolean) => (): void => {
      socket.destroy()
      resolve(open)
    }
    socket.once('connect', answer(true)).once('error', answer(false))
  })
}

function listening(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject).listen(path, resolve)
  })
}

/** Linux has names for sockets that are no files, and need no tidying. */
function doorPath(nonce: string): string {
  if (process.platform === 'linux') return `\0nuxt-queue-${nonce}`
  if (process.platform === 'win32') return `\\\\.\\pipe\\nuxt-queue-${nonce}`
  return join(tmpdir(), `nuxt-queue-${nonce}.sock`)
}
