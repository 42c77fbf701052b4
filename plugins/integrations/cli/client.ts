import { createConnection } from 'node:net'
import { QueueError } from '../../../kernel/index.ts'
import { decodeJson } from '../../lib/json.ts'
import { createMessageReader, encodeMessage, revive, type Backend, type Response } from './protocol.ts'
import { socketPath } from './socket-path.ts'

/** The errors of a socket without a listener: the file is missing, or a dead process left it behind. */
const NO_LISTENER = new Set(['ENOENT', 'ECONNREFUSED'])

interface Connection extends Backend {
  /** Resolves when the connection has ended, by either side. */
  ended: Promise<void>
}

/** Connects to the dev process of a folder. Returns `undefined` if none runs. */
export async function connect(cwd: string): Promise<Connection | undefined> {
  const socket = createConnection(socketPath(cwd)).setEncoding('utf8')
  const pending = new Map<number, PromiseWithResolvers<never>>()
  let ids = 0

  const connected = Promise.withResolvers<boolean>()
  socket.once('connect', () => connected.resolve(true))
  socket.on('error', (error: NodeJS.ErrnoException) => {
    if (NO_LISTENER.has(error.code ?? '')) connected.resolve(false)
    else connected.reject(error)
  })
  const endedError = (): QueueError => {
    const hint = 'Check its output, and start it again with: npx nuxt-queue dev'
    return new QueueError('DEV_MISSING', `The dev process in ${cwd} ended before it responded. ${hint}`)
  }
  const ended = Promise.withResolvers<void>()
  socket.on('close', () => {
    ended.resolve()
    for (const { reject } of pending.values()) reject(endedError())
    pending.clear()
  })
  const receive = createMessageReader((line) => {
    const response = decodeJson(line) as Response
    const asked = pending.get(response.id)
    pending.delete(response.id)
    if ('error' in response) asked?.reject(revive(response.error))
    else asked?.resolve(response.result as never)
  })
  socket.on('data', (chunk) => receive(chunk as unknown as string))

  if (!(await connected.promise)) return undefined
  return {
    ended: ended.promise,
    ask(method, params) {
      if (socket.destroyed) return Promise.reject(endedError())
      const id = ++ids
      const asked = Promise.withResolvers<never>()
      pending.set(id, asked)
      socket.write(encodeMessage({ id, method, params }))
      return asked.promise
    },
    async close() {
      socket.destroy()
    },
  }
}
