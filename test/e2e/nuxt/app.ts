import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'pathe'
import { onTestFinished } from 'vitest'
import { freePort } from '../../services/service.ts'
import { PATIENT } from '../processes.ts'
import { until } from '../redis/rig.ts'
import type { Install } from '../../install/install.ts'
import { appFolder } from './workspace.ts'

export type Env = Readonly<Record<string, string>>

export interface Server extends AsyncDisposable {
  url: string
  pid: number
  output(): string
  /** Waits for new output that matches. */
  prints(pattern: RegExp): Promise<void>
  get(path: string): Promise<Response>
  post(path: string, body?: unknown): Promise<Response>
  /** Ends the process with a signal and returns its exit code. */
  stop(signal?: NodeJS.Signals): Promise<number | null>
}

export interface App {
  folder: string
  write(path: string, content: string): Promise<void>
  read(path: string): Promise<string>
  /** Builds the application for production and returns the output. */
  build(env?: Env): Promise<string>
  /** Type-checks a project and returns the errors. */
  typeErrors(tsconfig: string): Promise<string>
  /** Starts the build from another folder, on `PORT` or a free port, and waits until it listens. */
  start(env?: Env): Promise<Server>
  /** Runs a built program to its end. */
  program(file: string, env?: Env): Promise<{ code: number | null; output: string }>
  /** Runs a file of the application to its end. */
  script(file: string, env?: Env): Promise<{ code: number | null; output: string }>
  /** Starts the workers without a server. */
  workers(env?: Env): Server
  /** `nuxt dev`, or `nitro dev` of Nitro 3. */
  dev(env?: Env): Promise<Server>
}

export interface AppOptions {
  /** The folder below that of the application in which its config is. Default: itself. */
  rootDir?: string
  /** Receives the function that disposes of the application and its processes. Default: it is called when the test ends. */
  onEnd?: (callback: () => Promise<void> | void) => void
  /** The packages it is installed with. Default `apps`. */
  install?: Install
}

/** Writes an application into the workspace. */
export async function createApp(
  name: string,
  files: Readonly<Record<string, string>>,
  { rootDir = '', onEnd = onTestFinished, install = 'apps' }: AppOptions = {},
): Promise<App> {
  const folder = await appFolder(name, install)
  onEnd(() => rm(folder, { recursive: true, force: true, maxRetries: 3 }))
  const root = join(folder, rootDir)
  const start = (args: readonly string[], cwd: string, env?: Env): Started => {
    const started = spawnNode(args, cwd, env)
    onEnd(() => killGroup(started.child, 'SIGKILL'))
    return started
  }
  const write = async (path: string, content: string): Promise<void> => {
    const file = join(folder, path)
    await mkdir(dirname(file), { recursive: true })
    // The file is replaced atomically, so that a watching bundler never reads a part of it.
    await writeFile(`${folder}.part`, content)
    await rename(`${folder}.part`, file)
  }
  await write('package.json', JSON.stringify({ name, private: true, type: 'module' }))
  for (const [path, content] of Object.entries(files)) await write(path, content)
  const installed = (path: string): string => join(folder, '../node_modules', path)
  const nuxt = installed('nuxt/bin/nuxt.mjs')
  const nitro = installed(`${install === 'nitro3' ? 'nitro' : 'nitropack'}/dist/cli/index.mjs`)
  const builder = 'nitro.config.ts' in files ? nitro : nuxt
  const server = (file: string): string => join(root, '.output/server', file)

  return {
    folder,
    write,
    read: (path) => readFile(join(folder, path), 'utf8'),
    async build(env) {
      const { code, output } = await finished(start([builder, 'build'], root, env))
      if (code !== 0) throw new Error(`The build failed:\n${output}`)
      return output
    },
    async typeErrors(tsconfig) {
      const { output } = await finished(start([installed('typescript/bin/tsc'), '--noEmit', '-p', tsconfig], root))
      return output
    },
    async start(env) {
      const port = Number(env?.PORT ?? (await freePort()))
      const started = start([server('index.mjs')], '/', { ...env, PORT: String(port), HOST: '127.0.0.1' })
      await seen(started.child, started.output, /Listening on/)
      return served(started, port)
    },
    program: (file, env) => finished(start([server(file)], '/', env)),
    script: (file, env) => finished(start([join(root, file)], root, env)),
    workers: (env) => served(start([server('queue.mjs')], '/', env), 0),
    async dev(env) {
      const port = await freePort()
      const started = start(
        [install === 'nitro3' ? nitro : nuxt, 'dev', '--port', String(port), '--host', '127.0.0.1'],
        root,
        env,
      )
      await seen(started.child, started.output, /[Ss]erver built in/)
      const running = served(started, port)
      // Nitro responds with 503 until its worker has loaded, and prints nothing when it has.
      await until(async () => (await running.get('/')).status !== 503)
      return running
    },
  }
}

interface Started {
  child: ChildProcess
  output: () => string
}

/** The environment without the variables of the test runner. */
function spawnNode(args: readonly string[], cwd: string, env: Env = {}): Started {
  const own = Object.entries(process.env).filter(
    ([name]) => !/^(?:NUXT_|NITRO_|VITEST|NODE_ENV$|CI$|TEST$|REDIS_URL$|DATABASE_URL$)/.test(name),
  )
  const child = spawn(process.execPath, args, {
    cwd,
    env: { ...Object.fromEntries(own), NO_COLOR: '1', NUXT_TELEMETRY_DISABLED: '1', ...PATIENT, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  let text = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
  }
  return { child, output: () => text }
}

async function finished({ child, output }: Started): Promise<{ code: number | null; output: string }> {
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, output: output() }
}

function served({ child, output }: Started, port: number): Server {
  const url = `http://127.0.0.1:${port}`
  const closed = once(child, 'close') as Promise<[number | null]>
  const send = (path: string, init?: RequestInit): Promise<Response> => fetch(new URL(path, url), init)
  const stop = async (signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> => {
    child.kill(signal)
    return (await closed)[0]
  }
  return {
    url,
    pid: child.pid!,
    output,
    prints(pattern) {
      const before = output().length
      return seen(child, () => output().slice(before), pattern)
    },
    get: (path) => send(path),
    post: (path, body) =>
      send(path, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body ?? {}),
      }),
    stop,
    async [Symbol.asyncDispose]() {
      killGroup(child, 'SIGKILL')
      await closed
    },
  }
}

function seen(child: ChildProcess, output: () => string, pattern: RegExp): Promise<void> {
  return new Promise((resolve, reject) => {
    const look = (): void => {
      if (pattern.test(output())) resolve()
    }
    for (const stream of [child.stdout!, child.stderr!]) stream.on('data', look)
    child.once('close', () => reject(new Error(`Ended without ${String(pattern)}:\n${output()}`)))
    look()
  })
}

function killGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid!, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
