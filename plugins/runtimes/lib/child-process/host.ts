import {
  QueueError,
  type Kernel,
  type MaybePromise,
  type RunContext,
  type WorkerDefinition,
} from '../../../../kernel/index.ts'
import { createChild, type Child, type ChildOptions } from './child.ts'
import { environmentOf, ownOptions, processOptions, type HostOptions, type ResolvedProcessOptions } from './options.ts'
import { createLineReader } from './lines.ts'
import { createPool } from './pool.ts'
import { spawnProcess, type Command, type SpawnedProcess } from './spawn.ts'
import { createSupervisor } from './supervisor.ts'
import { recordUsage } from './usage.ts'

/** What a runtime starts for a worker. */
export interface Launch extends Pick<Command, 'command' | 'args' | 'channel'> {
  /** What the child is told to load. */
  file: string
  /** Over the variables of the options. */
  env?: Readonly<Record<string, string>>
}

/** A child about to be: what it runs, and what starts it. */
export interface Birth extends ChildOptions {
  launch: Launch
  /** Starts the process, with more variables if need be. */
  spawn(env?: Readonly<Record<string, string>>): Promise<SpawnedProcess>
}

export interface HostSpec {
  /** The name of the runtime. */
  runtime: string
  launch(worker: WorkerDefinition, options: ResolvedProcessOptions): MaybePromise<Launch>
  /** Default: one that speaks the protocol. */
  createChild?(birth: Birth): Promise<Child>
}

/** Runs the jobs of a runtime in processes of their own. */
export function createChildHost(kernel: Kernel, options: HostOptions, { runtime, launch, ...spec }: HostSpec) {
  const { maxChildren, ...defaults } = options
  const supervisor = createSupervisor()
  const facts = recordUsage(kernel, runtime)
  // Escapes and base64 make the text of a value longer than the value.
  const maxMessage = 4 * kernel.config.payloadLimit + 1024 * 1024
  const create = spec.createChild ?? (async (birth) => createChild(await birth.spawn(), birth))
  const pool = createPool({
    maxChildren,
    optionsOf: (worker) => ({ ...defaults, ...ownOptions(processOptions, 'process', worker) }),
    async spawn(worker, own) {
      const launched = await launch(worker, own)
      const { command, args, channel, file, env } = launched
      const spawn: Birth['spawn'] = (more) =>
        spawnProcess(
          { command, args, channel, cwd: own.cwd, env: { ...environmentOf(own), ...env, ...more } },
          supervisor,
        )
      return create({ worker, launch: launched, file, options: own, maxMessage, facts, spawn })
    },
  })

  return {
    /** @throws QueueError `RUNTIME_START_FAILED`, `RUNTIME_EXITED`, `RUNTIME_SILENT`, `PROTOCOL_VIOLATION`, `PAYLOAD_TOO_LARGE`; or what the handler throws */
    async execute(worker: WorkerDefinition, ctx: RunContext): Promise<unknown> {
      const member = await pool.acquire(worker, ctx.signal)
      try {
        return await member.child.execute(ctx)
      } finally {
        pool.release(member)
      }
    },
    /**
     * Runs a program to its end, which comes after `timeout` milliseconds at the latest, and with this process.
     *
     * @param onLine called with each line on stdout as it comes
     * @returns what came on stderr, the first of it where that is much
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
    async close(): Promise<void> {
      await pool.close()
      supervisor.close()
    },
  }
}
export type ChildHost = ReturnType<typeof createChildHost>

/** @throws QueueError `WORKER_INVALID` for a worker that is a function */
export function fileOf({ id, absPath }: WorkerDefinition, runtime: string): string {
  if (absPath !== undefined) return absPath
  const hint = 'A function cannot move to another process. Put the handler into a file, and name that as absPath.'
  throw new QueueError('WORKER_INVALID', `Worker "${id}" has no file, which runtime "${runtime}" needs. ${hint}`, {
    retryable: false,
  })
}
