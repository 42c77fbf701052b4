import { rmSync } from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { isMainThread } from 'node:worker_threads'
import { join } from 'pathe'

/**
 * Proves that a worker thread is alive: a socket that the system closes when the thread ends. A process can be found by
 * its pid. A thread cannot, and a terminated thread runs no cleanup.
 */
export interface LivenessSocket {
  readonly path: string
  close(): void
}

/** Opens the socket of this thread. The main thread needs none, because it ends with its process. */
export async function openLivenessSocket(nonce: string): Promise<LivenessSocket | undefined> {
  if (isMainThread) return undefined
  const path = socketPath(nonce)
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

/** Resolves with true if the thread that opened the socket is alive. */
export function isThreadAlive(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    const finish = (alive: boolean) => (): void => {
      socket.destroy()
      resolve(alive)
    }
    socket.once('connect', finish(true)).once('error', finish(false))
  })
}

function listening(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject).listen(path, resolve)
  })
}

/** On Linux, the path is an abstract socket name. It is not a file and needs no cleanup. */
function socketPath(nonce: string): string {
  if (process.platform === 'linux') return `\0nuxt-queue-${nonce}`
  if (process.platform === 'win32') return `\\\\.\\pipe\\nuxt-queue-${nonce}`
  return join(tmpdir(), `nuxt-queue-${nonce}.sock`)
}
