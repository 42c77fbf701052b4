import { dirname, resolve } from 'pathe'
import { z } from 'zod'
import { definePlugin, type WorkerDefinition } from '../../../kernel/index.ts'
import { createChild } from '../lib/child-process/child.ts'
import { createChildHost, fileOf, type Launch } from '../lib/child-process/host.ts'
import { hostOptions, ownOptions, processOption } from '../lib/child-process/options.ts'
import { workerOption } from '../../lib/worker-option.ts'
import { loadExecutable } from './load.ts'
import { createSimpleChild } from './simple-child.ts'

declare module 'nuxt-queue/kernel' {
  interface WorkerConfig {
    /** The program of a worker with `runtime: 'exec'`. */
    exec?: ExecOptions
  }
}

const execOptions = z.strictObject({
  /**
   * The program: a path relative to the worker's file if it contains a slash, otherwise a program on the PATH. Default:
   * the worker's file itself.
   */
  command: z.string().optional(),
  /** Arguments of the program. Default none. */
  args: z.array(z.string()).optional(),
  /**
   * `simple` passes the data of the job as JSON on stdin and reads the result as JSON from stdout. An exit code other
   * than 0 fails the attempt. `protocol` speaks the worker protocol, which gives access to the whole context. Default
   * `simple`.
   */
  mode: z.enum(['simple', 'protocol']).optional(),
  /** Where the protocol is spoken: `fd` for file descriptor 3, or `stdio` for stdin and stdout. Default `fd`. */
  channel: z.enum(['fd', 'stdio']).optional(),
})
export type ExecOptions = z.input<typeof execOptions>

const NAME = 'exec'

/** Runs any executable as a worker. It reads and prints JSON, or speaks the worker protocol. */
export default definePlugin({
  name: 'runtime-exec',
  configKey: NAME,
  options: hostOptions.extend({
    /** Extensions of files that are workers. Default `.sh`, `.pl`, `.rb`, `.php`. */
    extensions: z.array(z.string().startsWith('.')).default(['.sh', '.pl', '.rb', '.php']),
  }),
  workerOptions: {
    process: processOption,
    exec: workerOption('exec', execOptions),
  },
  setup(kernel, { extensions, ...host }) {
    const children = createChildHost(kernel, host, {
      runtime: NAME,
      launch: launchOf,
      createChild: async (request) =>
        request.launch.channel === 'none' ? createSimpleChild(request) : createChild(await request.spawn(), request),
    })
    kernel.provide('runtime', { name: NAME, extensions, load: loadExecutable, execute: children.execute })
    return () => children.close()
  },
})

function launchOf(worker: WorkerDefinition): Launch {
  const { command, args = [], mode = 'simple', channel = 'fd' } = ownOptions(execOptions, 'exec', worker)
  const file = fileOf(worker, NAME)
  const program = command === undefined ? file : command.includes('/') ? resolve(dirname(file), command) : command
  return { command: program, args, channel: mode === 'simple' ? 'none' : channel, file }
}
