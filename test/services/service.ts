import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { join } from 'pathe'
import { findBinary } from './binaries.ts'

/** A store that belongs to one test, which may damage it. */
export interface Service {
  readonly url: string
  readonly port: number
  /** Sends SIGKILL to all processes of the service, and resolves when they have ended. */
  kill(): Promise<void>
  /** Starts it again after `kill` with the same port and data. Resolves when it responds. */
  restart(): Promise<void>
  /** Suspends the service for some milliseconds. Its connections stay open. */
  freeze(ms: number): Promise<void>
  /** Stops it and deletes its data. */
  stop(): Promise<void>
}

export interface ServiceOptions {
  name: string
  /** Prepares its folder. Called once. */
  prepare?(folder: string): Promise<void> | void
  command(folder: string, port: number): { file: string; args: string[]; uid?: string }
  url(port: number): string
  /** Resolves if it responds, and rejects if it does not. */
  ping(port: number): Promise<void>
}

const START_LIMIT = 120_000
const PING_EVERY = 20

/** Ends with the process that has started it, even after SIGKILL, if the system supports this. */
function bound(file: string, args: string[], uid: string | undefined): [string, string[]] {
  const setpriv = process.platform === 'linux' ? findBinary('setpriv') : undefined
  if (setpriv === undefined) {
    if (uid === undefined) return [file, args]
    throw new Error('PostgreSQL refuses to run as root. Install util-linux (setpriv), or set DATABASE_URL.')
  }
  const user = uid === undefined ? [] : [`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups']
  return [setpriv, ['--pdeathsig', 'KILL', ...user, file, ...args]]
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

/**
 * Listens on the port of a killed service and rejects callers. Resolves when the given number of callers
 * were rejected.
 */
export async function turnAway(port: number, callers: number): Promise<void> {
  const done = Promise.withResolvers<void>()
  let come = 0
  const server = createServer((socket) => {
    socket.destroy()
    if (++come === callers) done.resolve()
  })
  server.listen(port, '127.0.0.1')
  await done.promise
  server.close()
  await once(server, 'close')
}

export async function startService(options: ServiceOptions): Promise<Service> {
  const folder = mkdtempSync(join(tmpdir(), `nuxt-queue-${options.name}-`))
  await options.prepare?.(folder)
  const port = await freePort()
  let child: ChildProcess | undefined
  let output = ''

  async function start(): Promise<void> {
    const { file, args, uid } = options.command(folder, port)
    const [program, rest] = bound(file, args, uid)
    output = ''
    // A separate process group, so that no process survives a kill.
    const started = spawn(program, rest, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
    for (const pipe of [started.stdout, started.stderr]) {
      pipe.setEncoding('utf8').on('data', (text: string) => (output = (output + text).slice(-4000)))
    }
    child = started
    await answering(started)
  }

  async function answering(started: ChildProcess): Promise<void> {
    const deadline = Date.now() + START_LIMIT
    for (;;) {
      try {
        return await options.ping(port)
      } catch (error) {
        if (started.exitCode !== null || started.signalCode !== null || Date.now() > deadline) {
          throw new Error(`${options.name} did not start:\n${output}`, { cause: error })
        }
        await sleep(PING_EVERY)
      }
    }
  }

  function signal(name: NodeJS.Signals): void {
    try {
      process.kill(-child!.pid!, name)
    } catch {
      // The process has already ended.
    }
  }

  async function kill(): Promise<void> {
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    signal('SIGKILL')
    await exited
  }

  const onExit = (): void => signal('SIGKILL')
  process.on('exit', onExit)
  await start()
  return {
    port,
    url: options.url(port),
    kill,
    restart: start,
    async freeze(ms) {
      signal('SIGSTOP')
      await sleep(ms)
      signal('SIGCONT')
    },
    async stop() {
      process.off('exit', onExit)
      await kill()
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}
