import { chmod, mkdir, rm } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { dirname } from 'pathe'
import { isQueueError, QueueError, type Reporter } from '../../../kernel/index.ts'
import { decodeJson } from '../../lib/json.ts'
import { PRIVATE_FILE, PRIVATE_FOLDER } from '../../lib/private-folder.ts'
import type { Answers } from './answers.ts'
import { connect } from './client.ts'
import { createMessageReader, encodeMessage, failureResponse, type Request, type Response } from './protocol.ts'
import { params, type Method } from './requests.ts'
import { socketPath } from './socket-path.ts'

interface Served {
  path: string
  close: () => Promise<void>
}

/**
 * Handles requests on the socket of a folder. Replaces a socket that a dead process left behind.
 *
 * @throws QueueError `DEV_RUNNING` with the pid if another process listens
 */
export async function serve(cwd: string, answers: Answers): Promise<Served> {
  const path = socketPath(cwd)
  const onDisk = process.platform !== 'win32'
  if (onDisk) {
    await mkdir(dirname(path), { recursive: true, mode: PRIVATE_FOLDER })
    // The folder may already exist. Until its mode is set below, the socket would be open to everyone who may enter the folder.
    await chmod(dirname(path), PRIVATE_FOLDER)
  }
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    converse(socket, answers)
  })
  const taken = await listen(server, path)
  if (taken) {
    await assertNobody(cwd)
    await rm(path, { force: true })
    const error = await listen(server, path)
    if (error) throw error
  }
  if (onDisk) await chmod(path, PRIVATE_FILE)
  return {
    path,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve))
      for (const socket of sockets) socket.destroySoon()
      await closed
    },
  }
}

/**
 * Handles requests on the socket of a folder as soon as no other server does. During a reload, the previous server of the
 * application ends a moment later.
 */
export function serveNext(cwd: string, answers: Answers, reporter: Reporter): { close: () => Promise<void> } {
  const closing = new AbortController()
  let warned = false

  /** Returns the server. If another server listens, waits until it has ended and returns `undefined`. */
  async function tryOnce(): Promise<Served | undefined> {
    try {
      return await serve(cwd, answers)
    } catch (error) {
      if (!isQueueError(error, 'DEV_RUNNING')) throw error
      // With the same pid, it is another thread of this process, which ends during a reload.
      if (error.details?.pid !== process.pid && !warned) reporter.warn(`${error.message} It handles the commands.`)
      warned = true
      await untilGone(cwd, closing.signal)
      return undefined
    }
  }

  async function serveAtLast(): Promise<Served | undefined> {
    let served: Served | undefined
    while (!served && !closing.signal.aborted) served = await tryOnce()
    return served
  }

  const serving = serveAtLast().catch((error: unknown) => {
    reporter.error('The commands of nuxt-queue cannot reach this process.', error)
    return undefined
  })
  return {
    async close() {
      closing.abort()
      await (await serving)?.close()
    },
  }
}

/** Resolves when the process that serves a folder has ended, or at the signal. */
async function untilGone(cwd: string, signal: AbortSignal): Promise<void> {
  const other = await connect(cwd)
  if (!other) return
  const stop = (): void => void other.close()
  signal.addEventListener('abort', stop)
  if (signal.aborted) stop()
  await other.ended
  signal.removeEventListener('abort', stop)
}

/** Returns the error if the address is in use. Rejects with any other error. */
function listen(server: Server, path: string): Promise<Error | undefined> {
  return new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException): void => {
      if (error.code === 'EADDRINUSE') resolve(error)
      else reject(error)
    }
    server.once('error', failed)
    server.listen(path, () => {
      server.off('error', failed)
      resolve(undefined)
    })
  })
}

async function assertNobody(cwd: string): Promise<void> {
  const other = await connect(cwd)
  if (!other) return
  const { pid } = await other.ask('hello', {})
  await other.close()
  const message = `Process ${pid} already serves ${cwd}. Use it, or end it first: kill ${pid}`
  throw new QueueError('DEV_RUNNING', message, { details: { pid } })
}

function converse(socket: Socket, answers: Answers): void {
  const send = (response: Response): void => {
    if (socket.writable) socket.write(encodeMessage(response))
  }
  const receive = createMessageReader((line) => {
    try {
      const { id = 0, method = '', params: given } = Object(decodeJson(line)) as Partial<Request>
      answer({ id, method, params: given }, answers).then(send, (error: unknown) => send(failureResponse(id, error)))
    } catch (error) {
      send(failureResponse(0, error))
    }
  })
  socket.setEncoding('utf8')
  // A client may disconnect during a request.
  socket.on('error', () => socket.destroy())
  socket.on('data', (chunk) => receive(chunk as unknown as string))
}

async function answer({ id, method, params: given }: Request, answers: Answers): Promise<Response> {
  if (!Object.hasOwn(params, method)) {
    const known = Object.keys(params).join(', ')
    throw new QueueError('OPTION_INVALID', `There is no request "${method}". The requests are ${known}.`)
  }
  const checked = params[method as Method].safeParse(given)
  if (!checked.success) {
    throw new QueueError('OPTION_INVALID', `Request "${method}" has invalid parameters: ${checked.error.message}`)
  }
  const result: unknown = await answers[method as Method](checked.data as never)
  return { id, result }
}
