import { availableParallelism } from 'node:os'
import { z } from 'zod'
import { QueueError, type WorkerConfig, type WorkerDefinition } from '../../../../kernel/index.ts'
import { workerOption } from '../../../lib/worker-option.ts'
import { PREFIX } from './variables.ts'

declare module 'nuxt-queue/kernel' {
  interface WorkerConfig {
    /** How the processes of this worker live, where its runtime has any; over the options of the runtime. */
    process?: ProcessOptions
  }
}

const duration = z.number().min(0).finite()

/** Options of a worker's processes. All durations in milliseconds. */
export const processOptions = z.strictObject({
  /** How many jobs a process runs before the next one takes its place. Default 1: a fresh process each job. */
  reuse: z.number().int().min(1).default(1),
  /** How many processes wait ready, ahead of the next jobs, once the worker has had one. Default 1. */
  spare: z.number().int().min(0).default(1),
  /** How long a process may wait for a job before it goes. Default 30,000. */
  idleTimeout: duration.default(30_000),
  /** How long a process may take until it is ready. Default 30,000. */
  startTimeout: duration.default(30_000),
  /** What a cancelled or timed-out handler gets to stop by itself, before SIGTERM. Default 2,000. */
  cancelGrace: duration.default(2000),
  /** What a process gets to end after SIGTERM or its last job, before SIGKILL to its group. Default 2,000. */
  killGrace: duration.default(2000),
  /** How long a child that answers heartbeats may be silent while it runs a job. 0 asks none. Default 60,000. */
  heartbeatTimeout: duration.default(60_000),
  /** Characters a job may print into its log. Default 1 MiB. */
  maxOutput: duration.default(1024 * 1024),
  /** Variables of the process, over those it inherits. */
  env: z.record(z.string(), z.string()).default({}),
  /**
   * Which of our variables it inherits beside those every program needs (PATH, HOME, LANG, TZ, …):
   * names, which may end in `*`, or `true` for all. Secrets stay with us unless named, and so does the configuration of
   * the engine: `NUXT_*` does not name `NUXT_QUEUE_*`. Default none.
   */
  inheritEnv: z.union([z.literal(true), z.array(z.string())]).default([]),
  /** Its working directory. Default: ours. */
  cwd: z.string().optional(),
})

export type ProcessOptions = z.input<typeof processOptions>
export type ResolvedProcessOptions = z.output<typeof processOptions>

export const processOption = workerOption('process', processOptions)

/** What all workers of a runtime share. */
export const hostOptions = processOptions.extend({
  /** How many processes live at once, waiting ones included; jobs beyond wait. Default: twice the cores, at least 4. */
  maxChildren: z
    .number()
    .int()
    .min(1)
    .default(Math.max(4, 2 * availableParallelism())),
})
export type HostOptions = z.output<typeof hostOptions>

/**
 * What a worker says under a key of its config, checked, and without the defaults of what it does not say.
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

/** The environment of a child. */
export function environmentOf({ env, inheritEnv }: ResolvedProcessOptions): Record<string, string> {
  const named = (name: string): boolean => inheritEnv === true || inheritEnv.some((pattern) => names(pattern, name))
  const inherited = Object.entries(process.env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && (INHERITED.test(entry[0]) || named(entry[0])),
  )
  return { ...Object.fromEntries(inherited), ...env }
}

function names(pattern: string, name: string): boolean {
  if (!pattern.endsWith('*')) return name === pattern
  return name.startsWith(pattern.slice(0, -1)) && (pattern.startsWith(PREFIX) || !name.startsWith(PREFIX))
}
