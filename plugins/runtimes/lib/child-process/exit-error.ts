import { QueueError } from '../../../../kernel/index.ts'

/** How a process ended. */
export interface Exit {
  code: number | null
  signal: NodeJS.Signals | null
}

const HINTS: Readonly<Record<string, string>> = {
  SIGSEGV: 'It touched memory that is not its own, most likely in native code.',
  SIGBUS: 'It touched memory that is not its own, most likely in native code.',
  SIGILL: 'It met an instruction this machine does not have.',
  SIGABRT: 'It gave itself up, as programs do that run out of memory.',
  SIGKILL: 'Somebody killed it; the system does so when memory runs out.',
}

/** A process that ended before it had answered. */
export function exitError(worker: string, { code, signal }: Exit, tail: readonly string[]): QueueError {
  const how = signal ? `signal ${signal}` : `exit code ${code}`
  const said = tail.length > 0 ? ` Its last words:\n${tail.join('\n')}` : ''
  const hint = signal ? ` ${HINTS[signal] ?? ''}`.trimEnd() : ''
  const message = `The process of worker "${worker}" ended (${how}) before its job was done.${hint}${said}`
  return new QueueError('RUNTIME_EXITED', message, { details: { exitCode: code, signal, stderr: [...tail] } })
}
