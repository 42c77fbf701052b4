import { join } from 'pathe'
import { z } from 'zod'
import { definePlugin } from '../../../kernel/index.ts'
import { createChildHost, fileOf } from '../lib/child-process/host.ts'
import { hostOptions, ownOptions, processOption } from '../lib/child-process/options.ts'
import { programFile } from '../../lib/package-files.ts'
import { privateFolder } from '../../lib/private-folder.ts'
import { workerOption } from '../../lib/worker-option.ts'

declare module 'nuxt-queue/kernel' {
  interface WorkerConfig {
    /** Limits and flags of the worker's Node processes, with `runtime: 'node-isolated'`. */
    isolated?: IsolatedOptions
  }
}

const megabytes = z.number().positive()

const isolatedOptions = z.strictObject({
  /** Memory limits of V8 in megabytes, with the names that `worker_threads` uses. Default: the limits of Node. */
  resourceLimits: z
    .strictObject({
      /** MiB of the heap, beyond which Node ends the process. */
      maxOldGenerationSizeMb: megabytes.optional(),
      /** MiB of the part of the heap for new objects. */
      maxYoungGenerationSizeMb: megabytes.optional(),
      /** MiB of the stack. */
      stackSizeMb: megabytes.optional(),
    })
    .default({}),
  /** Additional flags of Node, such as `--import`. Flags of the application are not inherited. Default none. */
  execArgv: z.array(z.string()).default([]),
})
export type IsolatedOptions = z.input<typeof isolatedOptions>

const NAME = 'node-isolated'
const CHILD = programFile('plugins/runtimes/isolated/child')

/**
 * Returns the variable that turns on Node's compile cache, which halves the start time of a process. The cache is in a
 * private folder, because every user who can write to it controls the code of children.
 */
function compileCache({ NODE_COMPILE_CACHE: given } = process.env): Record<string, string> {
  const folder = given ?? privateFolder()
  return folder === undefined ? {} : { NODE_COMPILE_CACHE: given ?? join(folder, 'compile-cache') }
}

/** Runs TypeScript and JavaScript workers in a separate Node process. */
export default definePlugin({
  name: 'runtime-isolated',
  configKey: 'isolated',
  options: hostOptions.extend(isolatedOptions.shape),
  workerOptions: {
    process: processOption,
    isolated: workerOption('isolated', isolatedOptions),
  },
  setup(kernel, { resourceLimits, execArgv, ...host }) {
    const cache = compileCache()
    const children = createChildHost(kernel, host, {
      runtime: NAME,
      launch(worker, { env }) {
        const file = fileOf(worker, NAME)
        const own = { resourceLimits, execArgv, ...ownOptions(isolatedOptions, 'isolated', worker) }
        const args = [...limitFlags(own.resourceLimits), ...own.execArgv, CHILD]
        return { command: process.execPath, args, channel: 'fd', file, env: { ...cache, ...env } }
      },
    })
    kernel.provide('runtime', { name: NAME, extensions: [], execute: children.execute })
    return () => children.close()
  },
})

/** Converts limits to flags of Node. The young generation has three semi-spaces, and the stack size is in kilobytes. */
function limitFlags(limits: NonNullable<IsolatedOptions['resourceLimits']>): string[] {
  const { maxOldGenerationSizeMb: old, maxYoungGenerationSizeMb: young, stackSizeMb: stack } = limits
  return [
    ...(old === undefined ? [] : [`--max-old-space-size=${Math.ceil(old)}`]),
    ...(young === undefined ? [] : [`--max-semi-space-size=${Math.max(1, Math.floor(young / 3))}`]),
    ...(stack === undefined ? [] : [`--stack-size=${Math.floor(stack * 1024)}`]),
  ]
}
