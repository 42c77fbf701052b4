import { spawn, type ChildProcess } from 'node:child_process'
import type { Socket } from 'node:net'

/**
 * Reads lines of the form `+ <pid>` and `- <pid>`. When its input ends, it kills the remaining process groups. Its
 * input also ends when the application is killed. It is a shell script because a shell starts in a millisecond, needs
 * one megabyte, and exists on every system with process groups.
 */
const SCRIPT = `
trap '' INT HUP TERM
live=' '
while read -r op pid; do
  case $op in
    +) live="$live$pid " ;;
    -) live="\${live%% $pid *} \${live#* $pid }" ;;
  esac
done
for pid in $live; do kill -s KILL -- "-$pid"; done 2>/dev/null
`

/** Ensures that no child outlives this process. The shell starts together with the first child. */
export function createSupervisor() {
  const watched = new Set<number>()
  let shell: ChildProcess | undefined
  let closed = false

  function send(line: string): void {
    shell ??= start()
    shell.stdin!.write(line)
  }

  function start(): ChildProcess {
    const started = spawn('/bin/sh', ['-c', SCRIPT], { stdio: ['pipe', 'ignore', 'ignore'], detached: true, env: {} })
    started.unref()
    started.on('error', () => {})
    const input = started.stdin as unknown as Socket
    input.on('error', () => {})
    input.unref()
    started.once('exit', () => {
      if (shell !== started) return
      shell = undefined
      if (!closed && watched.size > 0) send([...watched].map((pid) => `+ ${pid}\n`).join(''))
    })
    return started
  }

  const unsupported = process.platform === 'win32'
  return {
    watch(pid: number): void {
      watched.add(pid)
      if (!unsupported) send(`+ ${pid}\n`)
    },
    unwatch(pid: number): void {
      if (watched.delete(pid) && !unsupported && !closed) send(`- ${pid}\n`)
    },
    close(): void {
      closed = true
      shell?.stdin!.end()
      shell = undefined
    },
  }
}
export type Supervisor = ReturnType<typeof createSupervisor>

/** Sends a signal to the group of a process. On Windows, which has no groups, sends it to the process. */
export function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(process.platform === 'win32' ? pid : -pid, signal)
  } catch {
    // The group has no processes any more.
  }
}
