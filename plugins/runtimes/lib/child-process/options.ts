import { availableParallelism } from 'node:os'
import { z } from 'zod'
import { QueueError, type WorkerConfig, type WorkerDefinition } from '../../../../kernel/index.ts'
import { workerOption } from '../../../lib/worker-option.ts'
import { VARIABLE_PREFIX } from './variables.ts'

declare module 'nuxt-queue/kernel' {
  interface WorkerConfig {
    /** Options for the processes of this worker, if its runtime uses processes. They override the options of the runtime. */
    process?: ProcessOptions
  }
}

const duration = z.number().min(0).finite()

/** Options of a worker's processes. All durations are in milliseconds. */
export const processOptions = z.strictObject({
  /** How many jobs a process runs before a new process replaces it. Default 1: a new process for each job. */
  reuse: z.number().int().min(1).default(1),
  /** How many idle processes are kept ready for the next jobs, after the first job of a worker. Default 1. */
  spare: z.number().int().min(0).default(1),
  /** How long a process may wait for a job before it ends. Default 30,000. */
  idleTimeout: duration.default(30_000),
  /** How long a process may take until it is ready. Default 30,000. */
  startTimeout: duration.default(30_000),
  /** How long a cancelled or timed-out handler has to stop before its process receives SIGTERM. Default 2,000. */
  cancelGrace: duration.default(2000),
  /** How long a process has to end after SIGTERM or its last job, before its group receives SIGKILL. Default 2,000. */
  killGrace: duration.default(2000),
  /** How long a child that supports heartbeats may be silent during a job. 0 turns them off. Default 60,000. */
  heartbeatTimeout: duration.default(60_000),
  /** How many characters a job may print into its log. Default 1,048,576. */
  maxOutput: duration.default(1024 * 1024),
  /** Environment variables of the process. They override inherited ones. Default none. */
  env: z.record(z.string(), z.string()).default({}),
  /**
   * Variables of the application that the process inherits, in addition to the variables that every program needs (PATH, HOME,
   * LANG, TZ, …): a list of names, which may end in `*`, or `true` for all. Secrets are not inherited unless named.
   * `NUXT_*` does not match `NUXT_QUEUE_*`, the configuration of the engine. Default none.
   */
  inheritEnv: z.union([z.literal(true), z.array(z.string())]).default([]),
  /** Working directory of the process. Default: the working directory of the application. */
  cwd: z.string().optional(),
  /**
   * Forks each process from one that has already started, where the runtime can do so (Python, except on Windows). `true` forks from a
   * process that has loaded the SDK, `'worker'` from one that has loaded the file of the worker as well. With `'worker'`, the code of the
   * module runs once, so it must not open connections or start threads. Default `false`.
   */
  prefork: z.union([z.boolean(), z.literal('worker')]).default(false),
})

export type ProcessOptions = z.input<typeof processOptions>
export type ResolvedProcessOptions = z.output<typeof processOptions>

export const processOption = workerOption('process', processOptions)

/** Options of a runtime that uses processes. */
export const hostOptions = processOptions.extend({
  /**
   * How many processes may run at once, including idle ones. Further jobs wait. Default: twice the number of cores, at
   * least 4.
   */
  maxChildren: z
    .number()
    .int()
    .min(1)
    .default(Math.max(4, 2 * availableParallelism())),
})
export type HostOptions = z.output<typeof hostOptions>

/**
 * Returns the options that a worker sets under a key of its config, after a check. Adds no defaults.
 *
 * @throws QueueError `OPTION_INVALID`
 */
export function ownOptions<S extends z.ZodObject>(
  schema: S,
  key: keyof WorkerConfig,
  { id, worker }: WorkerDefinition,
): Partial<z.output<S>> {
  const given = worker[key] ?? {}
  const { success, data, error } = schema.safeParse(given)
  if (!success) {
    const [issue] = error.issues
    const message = `Option "${[key, ...issue!.path].join('.')}" of worker "${id}": ${issue!.message}.`
    throw new QueueError('OPTION_INVALID', message, { retryable: false })
  }
  return Object.fromEntries(Object.entries(data).filter(([name]) => name in (given as object))) as Partial<z.output<S>>
}

const INHERITED =
  /^(?:PATH|HOME|LANG|LANGUAGE|LC_.*|TZ|TMPDIR|TEMP|TMP|USER|USERNAME|LOGNAME|SHELL|NODE_ENV|NODE_EXTRA_CA_CERTS|SSL_CERT_(?:FILE|DIR)|LD_LIBRARY_PATH|SYSTEMROOT|WINDIR|COMSPEC|PATHEXT|APPDATA|LOCALAPPDATA|PROGRAMDATA)$/i

/** Returns the environment variables of a child. */
export function environmentOf({ env, inheritEnv }: ResolvedProcessOptions): Record<string, string> {
  const named = (name: string): boolean => inheritEnv === true || inheritEnv.some((pattern) => matches(pattern, name))
  const inherited = Object.entries(process.env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && (INHERITED.test(entry[0]) || named(entry[0])),
  )
  return { ...Object.fromEntries(inherited), ...env }
}

function matches(pattern: string, name: string): boolean {
  if (!pattern.endsWith('*')) return name === pattern
  return (
    name.startsWith(pattern.slice(0, -1)) && (pattern.startsWith(VARIABLE_PREFIX) || !name.startsWith(VARIABLE_PREFIX))
  )
}
