import { join } from 'pathe'
import { QueueError, toError } from '../../../kernel/index.ts'

/** The oldest version of Python that the SDK supports. */
const MIN_VERSION = [3, 9] as const

/** A shim of a version manager may need seconds on a busy machine. */
const PROBE_TIMEOUT = 60_000

const PROBE = 'import sys; print(sys.executable); print(".".join(map(str, sys.version_info[:3])))'

export interface Interpreter {
  /** The program itself. A shim of a version manager would slow down each start. */
  executable: string
  version: string
}

export interface InterpreterOptions {
  command: string | undefined
  venv: string | undefined
}

/**
 * Finds the Python interpreter: `command`, or else the interpreter of `venv`, or else that of the active virtual environment, `python3` or
 * `python`.
 *
 * @throws QueueError `RUNTIME_MISSING` that lists each attempt and its error
 */
export async function findInterpreter({ command, venv }: InterpreterOptions): Promise<Interpreter> {
  const tried: string[] = []
  for (const candidate of candidates(command, venv)) {
    const found = await probe(candidate).catch((error: unknown) => {
      tried.push(`${candidate} (${toError(error).message})`)
    })
    if (!found) continue
    if (!isOld(found.version)) return found
    tried.push(`${candidate} (Python ${found.version})`)
  }
  const hint = `Install Python ${MIN_VERSION.join('.')} or later, or set python.command or python.venv.`
  throw new QueueError('RUNTIME_MISSING', `No suitable Python was found. Tried: ${tried.join('; ')}. ${hint}`, {
    details: { tried },
  })
}

function candidates(command: string | undefined, venv: string | undefined): string[] {
  if (command !== undefined) return [command]
  if (venv !== undefined) return [pythonOf(venv)]
  const active = process.env.VIRTUAL_ENV
  return [...(active ? [pythonOf(active)] : []), 'python3', 'python']
}

function pythonOf(venv: string): string {
  return process.platform === 'win32' ? join(venv, 'Scripts', 'python.exe') : join(venv, 'bin', 'python')
}

async function probe(command: string): Promise<Interpreter> {
  const { execa } = await import('execa')
  const { stdout, failed, timedOut, exitCode, stderr, code } = await execa(command, ['-c', PROBE], {
    reject: false,
    timeout: PROBE_TIMEOUT,
    stdin: 'ignore',
  })
  if (timedOut) throw new Error(`did not respond within ${PROBE_TIMEOUT} ms`)
  if (failed) throw new Error(code === 'ENOENT' ? 'not found' : `exit code ${exitCode}${stderr ? `: ${stderr}` : ''}`)
  const [executable = '', version = ''] = stdout.split(/\r?\n/)
  if (executable === '' || !/^\d+\.\d+\.\d+$/.test(version)) throw new Error(`printed "${stdout}"`)
  return { executable, version }
}

function isOld(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major < MIN_VERSION[0] || (major === MIN_VERSION[0] && minor < MIN_VERSION[1])
}
