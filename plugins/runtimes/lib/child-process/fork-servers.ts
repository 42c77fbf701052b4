import { QueueError, type WorkerDefinition } from '../../../../kernel/index.ts'
import { startForkServer, type ForkServer } from './fork-server.ts'
import { openForkSocket, type ForkSocket } from './fork-socket.ts'
import type { Command, SpawnedProcess } from './spawn.ts'
import type { Supervisor } from './supervisor.ts'

interface ForkRequest {
  worker: WorkerDefinition
  command: Omit<Command, 'channel'>
  /** Whether the server has loaded the file of the worker, so that it serves this version of this worker only. */
  ofWorker: boolean
  /** How long the server and the process may take to start, in milliseconds. */
  timeout: number
}

/** Keeps one fork server for each command and environment, started with the first process that it forks. */
export function createForkServers(supervisor: Supervisor) {
  const servers = new Map<string, { worker: WorkerDefinition | undefined; server: Promise<ForkServer> }>()
  const ending = new Set<Promise<unknown>>()
  let socket: Promise<ForkSocket> | undefined

  function end(server: Promise<ForkServer>): void {
    const gone = server.then(
      (one) => {
        one.close()
        return one.exited
      },
      () => {},
    )
    ending.add(gone)
    void gone.then(() => ending.delete(gone))
  }

  function serverOf({ worker, command, ofWorker }: ForkRequest): Promise<ForkServer> {
    const key = JSON.stringify([command, ofWorker && worker.id])
    const known = servers.get(key)
    if (known && (!ofWorker || known.worker === worker)) return known.server
    // The worker was loaded again: the server holds the previous version.
    if (known) end(known.server)
    socket ??= openForkSocket()
    const server = socket.then((opened) => startForkServer(command, supervisor, opened))
    const entry = { worker: ofWorker ? worker : undefined, server }
    servers.set(key, entry)
    const drop = (): void => void (servers.get(key) === entry && servers.delete(key))
    server.then(({ exited }) => exited.then(drop), drop)
    return server
  }

  return {
    /** @throws QueueError `RUNTIME_START_FAILED`, or `OPTION_UNSUPPORTED` on Windows */
    async fork(request: ForkRequest): Promise<SpawnedProcess> {
      if (process.platform === 'win32') {
        const message = `Worker "${request.worker.id}" has the option "prefork", but Windows cannot fork processes. Remove the option.`
        throw new QueueError('OPTION_UNSUPPORTED', message, { retryable: false })
      }
      return (await serverOf(request)).fork(request.timeout)
    },
    async close(): Promise<void> {
      for (const { server } of servers.values()) end(server)
      servers.clear()
      await Promise.all(ending)
      if (socket)
        await socket.then(
          (opened) => opened.close(),
          () => {},
        )
    },
  }
}
export type ForkServers = ReturnType<typeof createForkServers>
