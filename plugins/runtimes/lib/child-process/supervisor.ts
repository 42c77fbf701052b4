import { spawn, type ChildProcess } from 'node:child_process'
import type { Socket } from 'node:net'

/**
 * Reads `+ <pid>` and `- <pid>` and, once its input ends, kills the groups that are left: also when
 * the process that wrote was killed itself. A shell, since it starts in a millisecond, weighs one
 * megabyte and is everywhere where process groups are.
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

/** Sees to it that no child outlives this process. Started with the first child. */
export function createSupervisor() {
  const watched = new Set<number>()
  let shell: ChildProcess | undefined
  let closed = false

  function tell(line: string): void {
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
      if (!closed && watched.size > 0) tell([...watched].map((pid) => `+ ${pid}\n`).join(''))
    })
    return started
  }

  const none = process.platform === 'win32'
  return {
    watch(pid: number): void {
      watched.add(pid)
      if (!none) tell(`+ ${pid}\n`)
    },
    forget(pid: number): void {
      if (watched.delete(pid) && !none && !closed) tell(`- ${pid}\n`)
    },
    close(): void {
      closed = true
      shell?.stdin!.end()
      shell = undefined
    },
  }
}
export type Supervisor = ReturnType<typeof createSupervisor>

/** Signals the group of a process; where there are no groups, the process. */
export function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(process.platform === 'win32' ? pid : -pid, signal)
  } catch {
    // Nobody is left in it.
  }
}
