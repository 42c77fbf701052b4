import { timerDelay } from '../../../../kernel/index.ts'
import type { Duplex, Readable, Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Exit } from './exit-error.ts'
import { CHANNEL_FD } from './protocol.ts'
import { signalGroup, type Supervisor } from './supervisor.ts'
import { CHANNEL_VARIABLE } from './variables.ts'

/** How long the output of a process that has ended may stay open, in the hands of one that left its group. */
const OUTPUT_GRACE = 500

/** What to start. */
export interface Command {
  command: string
  args: readonly string[]
  cwd?: string
  env: Readonly<Record<string, string>>
  /** How the protocol reaches it; `none` for a program that does not speak it. */
  channel: 'fd' | 'stdio' | 'none'
}

/** A process that leads a group of its own. */
export interface SpawnedProcess {
  readonly pid: number
  readonly stdin: Writable | undefined
  readonly stdout: Readable
  readonly stderr: Readable
  /** What the protocol is read from and written to. */
  readonly input: Readable | undefined
  readonly output: Writable | undefined
  /** Resolves once it has ended, its group is gone, and its output has been read. */
  readonly exited: Promise<Exit>
  /** SIGTERM to the group, and SIGKILL after `grace` milliseconds. */
  terminate(grace: number): void
  kill(): void
}

/** @throws the error of the system when there is no such program, or it may not be run */
export async function spawnProcess(
  { command, args, cwd, env, channel }: Command,
  supervisor: Supervisor,
): Promise<SpawnedProcess> {
  // Loaded with the first child: most applications have none.
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
  supervisor.watch(pid)
  const streams = child.stdio.filter((stream) => stream !== null && stream !== undefined)
  // A pipe that breaks says no more than the exit, which follows.
  for (const stream of streams) stream.on('error', () => {})
  const socket = child.stdio[CHANNEL_FD] as Duplex | undefined
  let killing: NodeJS.Timeout | undefined
  let gone = false
  /** Only while it is there: its number may be somebody else's later. */
  const signal = (name: NodeJS.Signals): void => void (gone || signalGroup(pid, name))

  const exited = new Promise<Exit>((resolve) => {
    const closed = new Promise((close) => void child.once('close', close))
    child.once('exit', (code, by) => {
      clearTimeout(killing)
      signal('SIGKILL')
      gone = true
      supervisor.forget(pid)
      void Promise.race([closed, sleep(OUTPUT_GRACE, undefined, { ref: false })]).then(() => {
        for (const stream of streams) stream.destroy()
        resolve({ code, signal: by })
      })
    })
  })
  return {
    pid,
    stdin: child.stdin ?? undefined,
    stdout: child.stdout!,
    stderr: child.stderr!,
    input: channel === 'stdio' ? child.stdout! : socket,
    output: channel === 'stdio' ? child.stdin! : socket,
    exited,
    terminate(grace) {
      if (gone) return
      signal('SIGTERM')
      killing ??= setTimeout(() => signal('SIGKILL'), timerDelay(grace))
    },
    kill: () => signal('SIGKILL'),
  }
}
