import { timerDelay } from '../../../../kernel/index.ts'
import type { Duplex, Readable, Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Exit } from './exit-error.ts'
import { CHANNEL_FD } from './protocol.ts'
import { signalGroup, type Supervisor } from './supervisor.ts'
import { CHANNEL_VARIABLE } from './variables.ts'

/** How many milliseconds to wait for the output after a process has ended. A descendant outside its group may hold it open. */
const OUTPUT_GRACE = 500

/** A program to start. */
export interface Command {
  command: string
  args: readonly string[]
  cwd?: string
  env: Readonly<Record<string, string>>
  /** Where the protocol is spoken. `none` is for a program that does not speak it. */
  channel: 'fd' | 'stdio' | 'none'
}

/** A process that leads its own process group. */
export interface SpawnedProcess {
  readonly pid: number
  readonly stdin: Writable | undefined
  readonly stdout: Readable
  readonly stderr: Readable
  /** The stream from which the protocol is read. */
  readonly input: Readable | undefined
  /** The stream to which the protocol is written. */
  readonly output: Writable | undefined
  /** Resolves when the process has ended, its group has been killed, and its output has been read. */
  readonly exited: Promise<Exit>
  /** Sends SIGTERM to the group, and SIGKILL after `grace` milliseconds. */
  terminate(grace: number): void
  /** Sends SIGKILL to the group. */
  kill(): void
}

/**
 * Starts a program in its own process group.
 *
 * @throws the error of the operating system if the program does not exist or is not executable
 */
export async function spawnProcess(
  { command, args, cwd, env, channel }: Command,
  supervisor: Supervisor,
): Promise<SpawnedProcess> {
  // Loaded with the first child, because most applications have none.
  const { execa } = await import('execa')
  const withChannel = channel === 'fd' ? { ...env, [CHANNEL_VARIABLE]: String(CHANNEL_FD) } : env
  const started = execa(command, args, {
    cwd,
    env: withChannel,
    extendEnv: false,
    stdio: [channel === 'fd' ? 'ignore' : 'pipe', 'pipe', 'pipe', ...(channel === 'fd' ? (['pipe'] as const) : [])],
    detached: process.platform !== 'win32',
    windowsHide: true,
    cleanup: false,
    buffer: false,
    reject: false,
  })
  const child = started.nodeChildProcess
  const { pid } = child
  if (pid === undefined) throw ((await started) as { cause?: unknown }).cause
  const streams = child.stdio.filter((stream) => stream !== null && stream !== undefined)
  const socket = child.stdio[CHANNEL_FD] as Duplex | undefined
  return {
    ...followProcess(pid, streams, supervisor, {
      closed: new Promise((close) => void child.once('close', close)),
      exited: new Promise((exit) => void child.once('exit', (code, signal) => exit({ code, signal }))),
    }),
    stdin: child.stdin ?? undefined,
    stdout: child.stdout!,
    stderr: child.stderr!,
    input: channel === 'stdio' ? child.stdout! : socket,
    output: channel === 'stdio' ? child.stdin! : socket,
  }
}

/** Ends a process with its group, and reports its exit when its output has been read. */
export function followProcess(
  pid: number,
  streams: readonly (Readable | Writable)[],
  supervisor: Supervisor,
  events: { closed: Promise<unknown>; exited: Promise<Exit> },
): Pick<SpawnedProcess, 'pid' | 'exited' | 'terminate' | 'kill'> {
  supervisor.watch(pid)
  // A broken pipe is followed by an exit, which is reported.
  for (const stream of streams) stream.on('error', () => {})
  let killTimer: NodeJS.Timeout | undefined
  let exitedAlready = false
  /** Does nothing after the exit, because the system may reuse the process id. */
  const signal = (name: NodeJS.Signals): void => void (exitedAlready || signalGroup(pid, name))

  const exited = events.exited.then(async (exit) => {
    clearTimeout(killTimer)
    signal('SIGKILL')
    exitedAlready = true
    supervisor.unwatch(pid)
    await Promise.race([events.closed, sleep(OUTPUT_GRACE, undefined, { ref: false })])
    for (const stream of streams) stream.destroy()
    return exit
  })
  return {
    pid,
    exited,
    terminate(grace) {
      if (exitedAlready) return
      signal('SIGTERM')
      killTimer ??= setTimeout(() => signal('SIGKILL'), timerDelay(grace))
    },
    kill: () => signal('SIGKILL'),
  }
}
