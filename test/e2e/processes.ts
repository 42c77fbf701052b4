import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT = fileURLToPath(new URL('../..', import.meta.url))
export const BIN = fileURLToPath(new URL('../../dist/plugins/integrations/cli/bin.js', import.meta.url))

export interface Finished {
  code: number | null
  stdout: string
  stderr: string
}

export interface Running extends AsyncDisposable {
  pid: number
  kill(signal: NodeJS.Signals): void
  /** Waits for output that matches; rejects when the process ends without it. */
  until(pattern: RegExp, from?: 'stdout' | 'stderr'): Promise<RegExpExecArray>
  ended: Promise<Finished>
}

/** Commands that open a store have a timeout for slow machines. */
export const PATIENT = { NUXT_QUEUE_SETUP_TIMEOUT: '240000' }

/** Starts a file in a separate Node process, which is killed when it is disposed. */
export function startNode(args: readonly string[], cwd: string, added: NodeJS.ProcessEnv = {}): Running {
  return start(process.execPath, args, cwd, added)
}

/** Starts what a user types into a shell, in a folder with an installed package above it. The last line is the process. */
export function startShell(lines: readonly string[], cwd: string, added: NodeJS.ProcessEnv = {}): Running {
  const path = [join(cwd, '../node_modules/.bin'), dirname(process.execPath), process.env.PATH]
  const script = [...lines.slice(0, -1), `exec env ${lines.at(-1)!}`].join('\n').replaceAll(/\bnpx /g, '')
  return start('sh', ['-c', script], cwd, {
    PATH: path.join(delimiter),
    NODE_ENV: undefined,
    VITEST: undefined,
    ...added,
  })
}

function start(program: string, args: readonly string[], cwd: string, added: NodeJS.ProcessEnv): Running {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('NUXT_QUEUE_')))
  const child = spawn(program, args, {
    cwd,
    env: { ...env, NO_COLOR: '1', ...PATIENT, ...added },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const output = { stdout: '', stderr: '' }
  const ended = once(child, 'close').then(([code]): Finished => ({ code: code as number | null, ...output }))
  collect(child, output)

  return {
    pid: child.pid!,
    kill: (signal) => void child.kill(signal),
    until(pattern, from = 'stdout') {
      const { promise, resolve, reject } = Promise.withResolvers<RegExpExecArray>()
      const look = (): void => {
        const match = pattern.exec(output[from])
        if (!match) return
        child[from].off('data', look)
        resolve(match)
      }
      child[from].on('data', look)
      look()
      void ended.then(() => reject(new Error(`Ended without ${String(pattern)}:\n${output.stdout}${output.stderr}`)))
      return promise
    },
    ended,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await ended
    },
  }
}

function collect(child: ChildProcess, output: { stdout: string; stderr: string }): void {
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]!.setEncoding('utf8').on('data', (chunk: string) => (output[name] += chunk))
  }
}

/** Starts `nuxt-queue` with these arguments and additional variables. */
export function startCli(args: readonly string[], cwd: string, env: NodeJS.ProcessEnv = {}): Running {
  return startNode([BIN, ...args], cwd, env)
}

/** Runs a command to its end. */
export function cli(args: readonly string[], cwd: string): Promise<Finished> {
  return startCli(args, cwd).ended
}

/** Runs a command with `--json` and returns its value. */
export async function cliJson(args: readonly string[], cwd: string): Promise<unknown> {
  const { stdout } = await cli([...args, '--json'], cwd)
  return JSON.parse(stdout)
}
