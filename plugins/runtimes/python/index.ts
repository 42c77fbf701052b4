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
/** Started by its path. With `-m`, a worker such as `types.py` in the working directory would hide a module of the library. */
const PROGRAM = packageFile('python-sdk/src/nuxt_queue/__main__.py')

/** Runs Python workers. By default each job gets a new interpreter. */
export default definePlugin({
  name: 'runtime-python',
  configKey: NAME,
  options: hostOptions.extend({
    /**
     * The interpreter, as a path or a name on the PATH. Default: the interpreter of `venv`, then of `VIRTUAL_ENV`, then `python3`, then
     * `python`.
     */
    command: z.string().optional(),
    /** The folder of a virtual environment, relative to `rootDir`. */
    venv: z.string().optional(),
    /** The folder that relative paths start from. Default: the working directory. */
    rootDir: z.string().optional(),
    /**
     * TypeScript workers that replace Python workers on machines without Python: maps the path of a Python worker to
     * the path of a TypeScript worker. Their use is reported. Default: none, so Python workers are skipped there.
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
        return children.run({ command, args: [PROGRAM, ...args], cwd: host.cwd, env }, timeout, onLine)
      },
      fingerprint: async () =>
        Object.values(await interpreter())
          .concat(HOST.version)
          .join(' '),
      cacheFile: cacheFileOf(rootDir),
    })

    const children = createChildHost(kernel, host, {
      runtime: NAME,
      async launch(worker, options) {
        const { executable: command } = await interpreter()
        const file = fileOf(worker, NAME)
        const loaded = options.prefork === 'worker' ? [file, worker.id] : []
        return {
          ...{ command, args: [PROGRAM, 'serve'], forkArgs: [PROGRAM, 'prefork', ...loaded] },
          ...{ channel: 'fd', file, env: pythonPath(options) },
        }
      },
    })

    kernel.provide('runtime', {
      name: NAME,
      extensions: ['.py'],
      load: async (file, { timeout = host.startTimeout } = {}) => {
        try {
          await interpreter()
        } catch (error) {
          const substitute = fallback[relative(rootDir, file)]
          if (!isQueueError(error, 'RUNTIME_MISSING') || substitute === undefined) throw error
          return loadSubstitute(kernel, file, resolve(rootDir, substitute), error.message)
        }
        const { config, handler } = await describer.load(file, timeout)
        // The config of a Python file, which may come from the cache, cannot select another runtime.
        return { config: { ...config, runtime: NAME }, handler }
      },
      execute: children.execute,
    })
    return async () => {
      await children.close()
      await describer.saved()
    }
  },
})

async function loadSubstitute(kernel: Kernel, file: string, substitute: string, reason: string): Promise<WorkerModule> {
  kernel.reporter.warn(`${file} is replaced by ${substitute}, as the option "python.fallback" says. ${reason}`)
  const { config, handler } = await loadModule(substitute)
  return { config: { ...config, runtime: 'node' }, handler }
}

/** The SDK of this package comes first, so that another installed version of it is not used. */
function pythonPath({ env }: Pick<HostOptions, 'env'>): { PYTHONPATH: string } {
  const own = env.PYTHONPATH ?? process.env.PYTHONPATH
  return { PYTHONPATH: [SDK, ...(own ? [own] : [])].join(delimiter) }
}

/** The cache is in `node_modules` or in a private folder, because a config that another user planted would be trusted. */
function cacheFileOf(rootDir: string): string | undefined {
  const modules = join(rootDir, 'node_modules')
  if (existsSync(modules)) return join(modules, '.cache', 'nuxt-queue', 'python.json')
  const folder = privateFolder()
  const name = `python-${createHash('sha256').update(rootDir).digest('hex').slice(0, 16)}.json`
  return folder === undefined ? undefined : join(folder, name)
}
