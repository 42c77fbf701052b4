import { resolve } from 'pathe'
import { z } from 'zod'
import { definePlugin } from '../../../kernel/index.ts'
import { watchFolders } from '../../lib/watch-folders.ts'
import type { BundledWorker } from '../lib/worker-files.ts'
import { createScanner } from './scan.ts'

/**
 * The share of `setupTimeout` after which the setup ends. The limit of each file is smaller, so that late files have been reported by then.
 */
const SETUP_SHARE = 0.97

/** Registers the worker files of a folder. */
export default definePlugin({
  name: 'registry',
  // After the application's own plugins, because their runtimes may load files too.
  enforce: 'post',
  requires: ['runtime-node'],
  options: z.strictObject({
    /** Folders of worker files, relative to `rootDir`. Default `server/queues`. */
    dirs: z.array(z.string()).default(['server/queues']),
    /** Default: the working directory. */
    rootDir: z.string().optional(),
    /** Reloads files when they change. Default false. */
    watch: z.boolean().default(false),
    /** Worker files outside of `dirs`, by worker id. */
    files: z.record(z.string(), z.string()).default({}),
    /** Workers that are part of a bundle, by id. */
    bundled: z.record(z.string(), z.custom<BundledWorker>()).default({}),
  }),
  async setup(kernel, { dirs, rootDir = process.cwd(), watch, files, bundled }) {
    const folders = dirs.map((dir) => resolve(rootDir, dir))
    const scanner = createScanner(kernel, folders)
    const loading = scanner.load(files, bundled)
    // A busy machine may need longer than the limits of all files. The queue then starts with the workers that have loaded.
    if (!(await settlesWithin(SETUP_SHARE * kernel.config.setupTimeout, loading))) {
      loading.catch((error: unknown) => kernel.reporter.error('A worker cannot be registered.', error))
    }
    const stop = watch ? watchFolders(folders, (file) => scanner.refresh(file), kernel.reporter) : undefined
    return () => {
      scanner.close()
      stop?.()
    }
  },
})

/** Returns whether a promise resolves in time. @throws the reason of a rejection in time */
async function settlesWithin(ms: number, settling: Promise<void>): Promise<boolean> {
  const late = Promise.withResolvers<boolean>()
  const timer = setTimeout(() => late.resolve(false), ms)
  try {
    return await Promise.race([settling.then(() => true), late.promise])
  } finally {
    clearTimeout(timer)
  }
}
