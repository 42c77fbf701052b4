import {
  QueueError,
  type Kernel,
  type MaybePromise,
  type RunContext,
  type WorkerDefinition,
} from '../../../../kernel/index.ts'
import { createChild, type Child, type ChildOptions } from './child.ts'
import { environmentOf, ownOptions, processOptions, type HostOptions, type ResolvedProcessOptions } from './options.ts'
import { createForkServers } from './fork-servers.ts'
import { createLineReader } from './lines.ts'
import { createPool } from './pool.ts'
import { spawnProcess, type Command, type SpawnedProcess } from './spawn.ts'
import { createSupervisor } from './supervisor.ts'
import { recordUsage } from './usage.ts'

/** The program that a runtime starts for a worker. */
export interface Launch extends Pick<Command, 'command' | 'args' | 'channel'> {
  /** The worker file, which the child loads. */
  file: string
  /** Environment variables. They override the variables in the options. */
  env?: Readonly<Record<string, string>>
  /**
   * The arguments with which the program becomes a fork server, for the option `prefork`. `docs/reference/protocol.md` describes what it
   * does. Without them, the runtime refuses the option.
   */
  forkArgs?: readonly string[]
}

/** A request to create a child: what it runs, and a function that starts its process. */
export interface SpawnRequest extends ChildOptions {
  launch: Launch
  /** Starts the process, optionally with additional environment variables. */
  spawn(env?: Readonly<Record<string, string>>): Promise<SpawnedProcess>
}

export interface HostSpec {
  /** The name of the runtime. */
  runtime: string
  /** Returns the program to start for a worker. */
  launch(worker: WorkerDefinition, options: ResolvedProcessOptions): MaybePromise<Launch>
  /** Creates a child. Default: a child that speaks the worker protocol. */
  createChild?(request: SpawnRequest): Promise<Child>
}

/**
 * Runs the jobs of a runtime in child processes.
 *
 * @example
 * const children = createChildHost(kernel, options, {
 *   runtime: 'deno',
 *   launch: (worker) => ({ command: 'deno', args: ['run', 'serve.ts'], channel: 'fd', file: fileOf(worker, 'deno') }),
 * })
 * kernel.provide('runtime', { name: 'deno', extensions: ['.deno.ts'], load, execute: children.execute })
 */
export function createChildHost(kernel: Kernel, options: HostOptions, { runtime, launch, ...spec }: HostSpec) {
  const { maxChildren, ...defaults } = options
  const supervisor = createSupervisor()
  const forks = createForkServers(supervisor)
  const facts = recordUsage(kernel, runtime)
  // Escapes and base64 make an encoded value longer than the value itself.
  const maxMessage = 4 * kernel.config.payloadLimit + 1024 * 1024
  const create = spec.createChild ?? (async (request) => createChild(await request.spawn(), request))
  const pool = createPool({
    maxChildren,
    optionsOf: (worker) => ({ ...defaults, ...ownOptions(processOptions, 'process', worker) }),
    async spawn(worker, own) {
      const launched = await launch(worker, own)
      const { command, args, channel, file, env, forkArgs } = launched
      const spawn: SpawnRequest['spawn'] = (more) => {
        const shared = { command, cwd: own.cwd, env: { ...environmentOf(own), ...env, ...more } }
        if (own.prefork === false) return spawnProcess({ ...shared, args, channel }, supervisor)
        if (!forkArgs) throw noPrefork(worker, runtime)
        const ofWorker = own.prefork === 'worker'
        return forks.fork({ worker, command: { ...shared, args: forkArgs }, ofWorker, timeout: own.startTimeout })
      }
      return create({ worker, launch: launched, file, options: own, maxMessage, facts, spawn })
    },
  })

  return {
    /**
     * Runs a job in a process, and returns the result of its handler.
     *
     * @throws the error of the handler, or QueueError `RUNTIME_START_FAILED`, `RUNTIME_EXITED`, `RUNTIME_SILENT`,
     *   `PROTOCOL_VIOLATION` or `PAYLOAD_TOO_LARGE`
     */
    async execute(worker: WorkerDefinition, ctx: RunContext): Promise<unknown> {
      const member = await pool.acquire(worker, ctx.signal)
      try {
        return await member.child.execute(ctx)
      } finally {
        pool.release(member)
      }
    },
    /**
     * Runs a program until it ends. Kills it after `timeout` milliseconds, or when this process ends.
     *
     * @param onLine called with each line of stdout
     * @returns the beginning of stderr, up to the size limit of a message
     */
    async run(command: Omit<Command, 'channel'>, timeout: number, onLine: (line: string) => void): Promise<string> {
      const spawned = await spawnProcess({ ...command, channel: 'none' }, supervisor)
      const timer = setTimeout(spawned.kill, timeout)
      const { push, flush } = createLineReader({ max: maxMessage, onLine })
      const errors: Buffer[] = []
      let size = 0
      spawned.stdout.on('data', push)
      spawned.stderr.on('data', (chunk: Buffer) => {
        if ((size += chunk.length) <= maxMessage) errors.push(chunk)
      })
      spawned.stdin!.end()
      await spawned.exited
      clearTimeout(timer)
      flush()
      return Buffer.concat(errors).toString()
    },
    /** Ends all processes, and resolves when they have exited. */
    async close(): Promise<void> {
      await pool.close()
      await forks.close()
      supervisor.close()
    },
  }
}
export type ChildHost = ReturnType<typeof createChildHost>

function noPrefork({ id }: WorkerDefinition, runtime: string): QueueError {
  const message = `Worker "${id}" has the option "process.prefork", but runtime "${runtime}" cannot fork processes. Remove the option.`
  return new QueueError('OPTION_UNSUPPORTED', message, { retryable: false })
}

/**
 * Returns the path of a worker's file.
 *
 * @throws QueueError `WORKER_INVALID` if the worker was registered as a function
 */
export function fileOf({ id, absPath }: WorkerDefinition, runtime: string): string {
  if (absPath !== undefined) return absPath
  const hint = 'A function cannot be sent to another process. Move the handler to a file, and pass its path as absPath.'
  throw new QueueError('WORKER_INVALID', `Worker "${id}" has no file, but runtime "${runtime}" needs one. ${hint}`, {
    retryable: false,
  })
}
