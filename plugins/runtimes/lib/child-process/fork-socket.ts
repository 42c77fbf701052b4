import { createHash, randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { hostname, tmpdir } from 'node:os'
import { join } from 'pathe'
import { PRIVATE_FOLDER, privateFolder } from '../../../lib/private-folder.ts'

/** The longest path that every system accepts for a socket, in bytes. */
const MAX_PATH = 100
const PREFIX = 'fork-'
const DIGIT_0 = '0'.charCodeAt(0)
/** The length of a token in hexadecimal digits. */
const TOKEN_LENGTH = 32
/** How long a connection may take to send its token, in milliseconds. */
const TOKEN_TIMEOUT = 10_000

/** What a process connects: its channel, stdout and stderr, in this order. */
export type ForkConnections = [channel: Socket, stdout: Socket, stderr: Socket]

interface Expected {
  found: (Socket | undefined)[]
  resolve(connections: ForkConnections): void
}

/** Receives the connections of forked processes. Node cannot hand file descriptors to a process that runs already. */
export interface ForkSocket {
  readonly path: string
  /** Returns a token, and a promise of the three connections that present it. */
  expect(): { token: string; connections: Promise<ForkConnections>; forget(): void }
  close(): void
}

/** Listens on a socket in a folder that only this user may enter. */
export async function openForkSocket(): Promise<ForkSocket> {
  const folder = createFolder()
  const path = join(folder, 's')
  const expected = new Map<string, Expected>()

  function accept(socket: Socket): void {
    let head = Buffer.alloc(0)
    socket.on('error', () => {})
    socket.setTimeout(TOKEN_TIMEOUT, () => socket.destroy())
    // Not "data": removing that listener would leave the stream flowing, and lose what comes before the next listener.
    const onReadable = (): void => {
      const chunk = socket.read() as Buffer | null
      if (chunk) head = Buffer.concat([head, chunk])
      // The token, the number of the connection, and a line break.
      if (head.length < TOKEN_LENGTH + 2) return
      socket.off('readable', onReadable)
      socket.setTimeout(0)
      const waiting = expected.get(head.toString('latin1', 0, TOKEN_LENGTH))
      const index = head[TOKEN_LENGTH]! - DIGIT_0
      if (!waiting || !(index in waiting.found) || waiting.found[index]) return void socket.destroy()
      const rest = head.subarray(TOKEN_LENGTH + 2)
      if (rest.length > 0) socket.unshift(rest)
      waiting.found[index] = socket
      if (waiting.found.every(Boolean)) waiting.resolve(waiting.found as ForkConnections)
    }
    socket.on('readable', onReadable)
  }

  const server: Server = createServer({ allowHalfOpen: false }, accept)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, resolve)
  })
  server.unref()
  return {
    path,
    expect() {
      const token = randomBytes(TOKEN_LENGTH / 2).toString('hex')
      const { promise, resolve } = Promise.withResolvers<ForkConnections>()
      const waiting: Expected = { found: [undefined, undefined, undefined], resolve }
      expected.set(token, waiting)
      void promise.then(() => expected.delete(token))
      const forget = (): void => {
        if (expected.delete(token)) for (const socket of waiting.found) socket?.destroy()
      }
      return { token, connections: promise, forget }
    },
    close() {
      server.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Creates the folder of this process, and removes those of processes of this machine that were killed. */
function createFolder(): string {
  // Containers may share a folder, and do not see each other's processes.
  const machine = createHash('sha256').update(hostname()).digest('hex').slice(0, 8)
  const own = `${PREFIX}${machine}-${process.pid}-${randomBytes(4).toString('hex')}`
  const parent = [privateFolder(), tmpdir()].find((one) => one !== undefined && isShort(join(one, own, 's'))) ?? '/tmp'
  for (const name of readdirSync(parent)) {
    const [, of, pid] = /^fork-([0-9a-f]{8})-(\d+)-[0-9a-f]{8}$/.exec(name) ?? []
    if (of === machine && !isRunning(Number(pid))) removeFolder(join(parent, name))
  }
  const folder = join(parent, own)
  mkdirSync(folder, { mode: PRIVATE_FOLDER })
  return folder
}

function removeFolder(folder: string): void {
  try {
    rmSync(folder, { recursive: true, force: true })
  } catch {
    // It belongs to another user.
  }
}

const isShort = (path: string): boolean => Buffer.byteLength(path) <= MAX_PATH

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}
