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
  /** What V8 may use, in megabytes, under the names of `worker_threads`. Default: Node's own limits. */
  resourceLimits: z
    .strictObject({
      maxOldGenerationSizeMb: megabytes.optional(),
      maxYoungGenerationSizeMb: megabytes.optional(),
      stackSizeMb: megabytes.optional(),
    })
    .default({}),
  /** Further flags of Node, such as `--import`. Default none; ours are not inherited. */
  execArgv: z.array(z.string()).default([]),
})
export type IsolatedOptions = z.input<typeof isolatedOptions>

const NAME = 'node-isolated'
const CHILD = programFile('plugins/runtimes/isolated/child')

/**
 * Compiled code of children, which halves the start of a process; in a folder of the user's, since whoever can
 * write to it decides what children run.
 */
function compileCache({ NODE_COMPILE_CACHE: given } = process.env): Record<string, string> {
  const folder = given ?? privateFolder()
  return folder === undefined ? {} : { NODE_COMPILE_CACHE: given ?? join(folder, 'compile-cache') }
}

/** Runs workers of TypeScript or JavaScript in a Node process of their own. */
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

/** The young generation holds three semi-spaces; the stack is counted in kilobytes. */
function limitFlags(limits: NonNullable<IsolatedOptions['resourceLimits']>): string[] {
  const { maxOldGenerationSizeMb: old, maxYoungGenerationSizeMb: young, stackSizeMb: stack } = limits
  return [
    ...(old === undefined ? [] : [`--max-old-space-size=${Math.ceil(old)}`]),
    ...(young === undefined ? [] : [`--max-semi-space-size=${Math.max(1, Math.floor(young / 3))}`]),
    ...(stack === undefined ? [] : [`--stack-size=${Math.floor(stack * 1024)}`]),
  ]
}
