import { QueueError } from '../../../../kernel/index.ts'

/** How a process ended. */
export interface Exit {
  code: number | null
  signal: NodeJS.Signals | null
}

const HINTS: Readonly<Record<string, string>> = {
  SIGSEGV: 'It accessed invalid memory, most likely in native code.',
  SIGBUS: 'It accessed invalid memory, most likely in native code.',
  SIGILL: 'It used an instruction that this machine does not support.',
  SIGABRT: 'It aborted itself, for example because it ran out of memory.',
  SIGKILL: 'It was killed. The operating system does this when memory runs out.',
}

/** Returns the error for a process that ended before it sent a response. */
export function exitError(worker: string, { code, signal }: Exit, tail: readonly string[]): QueueError {
  const how = signal ? `signal ${signal}` : `exit code ${code}`
  const output = tail.length > 0 ? ` Its last output:\n${tail.join('\n')}` : ''
  const hint = signal ? ` ${HINTS[signal] ?? ''}`.trimEnd() : ''
  const message = `The process of worker "${worker}" ended (${how}) before its job was finished.${hint}${output}`
  return new QueueError('RUNTIME_EXITED', message, { details: { exitCode: code, signal, stderr: [...tail] } })
}
