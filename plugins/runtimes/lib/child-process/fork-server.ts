import { QueueError, timerDelay } from '../../../../kernel/index.ts'
import type { Exit } from './exit-error.ts'
import type { ForkSocket } from './fork-socket.ts'
import { createLineReader } from './lines.ts'
import { createOutputLog } from './output.ts'
import { followProcess, spawnProcess, type Command, type SpawnedProcess } from './spawn.ts'
import type { Supervisor } from './supervisor.ts'
import { isRecord } from './wire-error.ts'

/** The longest line that a fork server may send, in bytes. */
const MAX_LINE = 64 * 1024
/** How long a fork server may take to end, in milliseconds. */
const GRACE = 1000

/** A process that forks processes of a worker. */
export interface ForkServer {
  readonly alive: boolean
  /** Forks a process. Rejects if the server does not respond within `timeout` milliseconds, or ends. */
  fork(timeout: number): Promise<SpawnedProcess>
  /** Ends the server. Its processes keep running. */
  close(): void
  readonly exited: Promise<unknown>
}

/**
 * Starts a fork server. Host and server send lines of JSON over the channel of the server:
 *
 * | message | direction | meaning |
 * |---|---|---|
 * | `{ fork, path, token }` | to the server | fork a process, which connects to the socket three times (channel, stdout, stderr) |
 * | `{ forked, pid }` | to the host | the process exists, and leads its own group |
 * | `{ exited, code, signal }` | to the host | the process with the id `exited` has ended; one of the two is `null` |
 *
 * Each connection begins with the token, the digit 0, 1 or 2, and a line break. The server ends when its channel ends.
 */
export async function startForkServer(
  command: Omit<Command, 'channel'>,
  supervisor: Supervisor,
  socket: ForkSocket,
): Promise<ForkServer> {
  const spawned = await spawnProcess({ ...command, channel: 'fd' }, supervisor)
  const printed = createOutputLog(0)
  printed.follow(spawned.stdout, 'stdout')
  printed.follow(spawned.stderr, 'stderr')
  const forked = new Map<number, (pid: number) => void>()
  const exits = new Map<number, (exit: Exit) => void>()
  const ended = Promise.withResolvers<never>()
  // Only those who fork are interested.
  ended.promise.catch(() => {})
  let alive = true
  let forks = 0

  function receive(line: string): void {
    const message: unknown = JSON.parse(line)
    if (!isRecord(message)) throw new TypeError('a fork server sent no object')
    const { forked: id, pid, exited: gone, code, signal } = message
    if (typeof id === 'number') {
      forked.get(id)?.(pid as number)
    } else if (typeof gone === 'number') {
      exits.get(gone)?.({ code: code as number | null, signal: signal as NodeJS.Signals | null })
      exits.delete(gone)
    }
  }

  const reader = createLineReader({
    max: MAX_LINE,
    onLine(text, cut) {
      try {
        if (cut === 0) receive(text)
      } catch {
        spawned.kill()
      }
    },
  })
  spawned.input!.on('data', reader.push)

  const exited = spawned.exited.then(({ code, signal }) => {
    alive = false
    const how = signal ? `signal ${signal}` : `exit code ${code}`
    const output = printed.tail().length > 0 ? ` Its last output:\n${printed.tail().join('\n')}` : ''
    ended.reject(new QueueError('RUNTIME_START_FAILED', `The process that forks others ended (${how}).${output}`))
    // Nobody else learns how these processes end.
    for (const exit of exits.values()) exit({ code: null, signal: 'SIGKILL' })
    exits.clear()
  })

  async function fork(timeout: number): Promise<SpawnedProcess> {
    const id = ++forks
    const { token, connections, forget } = socket.expect()
    const born = Promise.withResolvers<number>()
    const exit = Promise.withResolvers<Exit>()
    forked.set(id, (pid) => {
      exits.set(pid, exit.resolve)
      born.resolve(pid)
    })
    const late = Promise.withResolvers<never>()
    const timer = setTimeout(() => {
      const hint = 'Raise startTimeout, or check what the worker waits for while its file is loaded.'
      late.reject(new QueueError('RUNTIME_START_FAILED', `No process was forked within ${timeout} ms. ${hint}`))
      spawned.kill()
    }, timerDelay(timeout))
    spawned.output!.write(`${JSON.stringify({ fork: id, path: socket.path, token })}\n`)
    try {
      const failed = Promise.race([ended.promise, late.promise])
      const pid = await Promise.race([born.promise, failed])
      const endedEarly = exit.promise.then(() => {
        throw new QueueError('RUNTIME_START_FAILED', 'A forked process ended before it connected to this process.')
      })
      const streams = await Promise.race([connections, failed, endedEarly])
      endedEarly.catch(() => {})
      const [channel, stdout, stderr] = streams
      const closed = Promise.all(streams.map((one) => new Promise((close) => void one.once('close', close))))
      const followed = followProcess(pid, streams, supervisor, { closed, exited: exit.promise })
      return { ...followed, stdin: undefined, stdout, stderr, input: channel, output: channel }
    } catch (error) {
      forget()
      throw error
    } finally {
      clearTimeout(timer)
      forked.delete(id)
    }
  }

  return {
    get alive() {
      return alive
    },
    fork,
    close() {
      spawned.output!.end()
      spawned.terminate(GRACE)
    },
    exited,
  }
}
