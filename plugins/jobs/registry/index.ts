import { resolve } from 'pathe'
import { z } from 'zod'
import { definePlugin } from '../../../kernel/index.ts'
import { watchFolders } from '../../lib/watch-folders.ts'
import type { BundledWorker } from '../lib/worker-files.ts'
import { createScanner } from './scan.ts'

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
    await scanner.load(files, bundled)
    if (watch) return watchFolders(folders, (file) => scanner.refresh(file), kernel.reporter)
  },
})
