import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { delimiter } from 'node:path'
import { join, relative, resolve } from 'pathe'
import { z } from 'zod'
import { definePlugin, isQueueError, type Kernel, type WorkerModule } from '../../../kernel/index.ts'
import { createChildHost, fileOf } from '../lib/child-process/host.ts'
import { environmentOf, hostOptions, type HostOptions, processOption } from '../lib/child-process/options.ts'
import { HOST } from '../lib/child-process/protocol.ts'
import { loadModule } from '../lib/load-module.ts'
import { packageFile } from '../../lib/package-files.ts'
import { privateFolder } from '../../lib/private-folder.ts'
import { createDescriber } from './describe.ts'
import { findInterpreter, type Interpreter } from './interpreter.ts'

const NAME = 'python'
const SDK = packageFile('python-sdk/src')

/** Runs Python workers, each job in an interpreter of its own unless told otherwise. */
export default definePlugin({
  name: 'runtime-python',
  configKey: NAME,
  options: hostOptions.extend({
    /** The interpreter: a path, or a name on the PATH. Default: that of `venv`, of `VIRTUAL_ENV`, else `python3`. */
    command: z.string().optional(),
    /** The folder of a virtual environment, relative to `rootDir`. */
    venv: z.string().optional(),
    /** What paths here are relative to. Default: the working directory. */
    rootDir: z.string().optional(),
    /**
     * What runs in this process where there is no Python: the path of a Python worker, and that of a
     * TypeScript worker that does the same. Its use is reported. Default: none, and the worker is left out.
     */
    fallback: z.record(z.string(), z.string()).default({}),
  }),
  workerOptions: { process: processOption },
  setup(kernel, { command, venv, rootDir = process.cwd(), fallback, ...host }) {
    let finding: Promise<Interpreter> | undefined
    const interpreter = (): Promise<Interpreter> =>
      (finding ??= findInterpreter({ command, venv: venv && resolve(rootDir, venv) }))

    const describer = createDescriber({
      async run(args, timeout, onLine) {
        const { executable: command } = await interpreter()
        const env = { ...environmentOf(host), ...pythonPath(host) }
        return children.run({ command, args: ['-m', 'nuxt_queue', ...args], cwd: host.cwd, env }, timeout, onLine)
      },
      fingerprint: async () =>
        Object.values(await interpreter())
          .concat(HOST.version)
          .join(' '),
      cacheFile: cacheFileOf(rootDir),
    })

    const children = createChildHost(kernel, host, {
      runtime: NAME,
      launch: async (worker, options) => ({
        command: (await interpreter()).executable,
        args: ['-m', 'nuxt_queue', 'serve'],
        channel: 'fd',
        file: fileOf(worker, NAME),
        env: pythonPath(options),
      }),
    })

    kernel.provide('runtime', {
      name: NAME,
      extensions: ['.py'],
      load: async (file, { timeout = host.startTimeout } = {}) => {
        try {
          await interpreter()
        } catch (error) {
          const instead = fallback[relative(rootDir, file)]
          if (!isQueueError(error, 'RUNTIME_MISSING') || instead === undefined) throw error
          return loadInstead(kernel, file, resolve(rootDir, instead), error.message)
        }
        const { config, handler } = await describer.load(file, timeout)
        // Whatever it says, and whoever has written what was kept of it: a file of Python runs in Python.
        return { config: { ...config, runtime: NAME }, handler }
      },
      execute: children.execute,
    })
    return () => children.close()
  },
})

async function loadInstead(kernel: Kernel, file: string, instead: string, reason: string): Promise<WorkerModule> {
  kernel.reporter.warn(`${file} runs in process instead, by ${instead}, as python.fallback says. ${reason}`)
  const { config, handler } = await loadModule(instead)
  return { config: { ...config, runtime: 'node' }, handler }
}

/** Ours first, so that an SDK that is installed beside does not mix with it. */
function pythonPath({ env }: Pick<HostOptions, 'env'>): { PYTHONPATH: string } {
  const own = env.PYTHONPATH ?? process.env.PYTHONPATH
  return { PYTHONPATH: [SDK, ...(own ? [own] : [])].join(delimiter) }
}

/** Beside what is installed, or in a folder of the user's: configs that others could plant would be run. */
function cacheFileOf(rootDir: string): string | undefined {
  const modules = join(rootDir, 'node_modules')
  if (existsSync(modules)) return join(modules, '.cache', 'nuxt-queue', 'python.json')
  const folder = privateFolder()
  const name = `python-${createHash('sha256').update(rootDir).digest('hex').slice(0, 16)}.json`
  return folder === undefined ? undefined : join(folder, name)
}
