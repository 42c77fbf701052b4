import { mkdirSync, readdirSync } from 'node:fs'
import { dirname, join, resolve } from 'pathe'
import { z } from 'zod'
import { definePlugin } from '../../../../kernel/index.ts'
import { Journal } from '../../lib/folder/journal.ts'
import { lockFolder } from '../../lib/folder/lock.ts'
import { readHeader } from '../../lib/folder/read-journal.ts'

const EXTENSION = '.jsonl'

/** Provides a folder on disk for the plugins that keep journals. Only one kernel uses a folder at a time. */
export default definePlugin({
  name: 'file',
  options: z.strictObject({
    /** The folder of jobs and events, relative to the working directory. Default `.nuxt-queue/data`. */
    path: z.string().min(1).default('.nuxt-queue/data'),
    /**
     * When a write reaches the disk. `always`: synchronously, before any other code runs. `batch`: before the write is
     * acknowledged. `never`: when the system flushes the file. Default `batch`.
     */
    fsync: z.enum(['always', 'batch', 'never']).default('batch'),
    /** How long to wait while another process uses the folder, in milliseconds. Default 0: fail immediately. */
    lockTimeout: z.number().min(0).default(0),
    /**
     * The maximum number of jobs that wait in one queue, including delayed ones. Beyond it, `enqueue` throws
     * `QUEUE_FULL`. Default: no limit.
     */
    maxQueueSize: z.number().int().min(1).or(z.literal(Infinity)).default(Infinity),
    /** The minimum number of obsolete lines before a journal is compacted. Default 10,000. */
    compactAfter: z.number().int().min(1).default(10_000),
  }),
  async setup(kernel, { path, fsync, lockTimeout, maxQueueSize, compactAfter }) {
    const folder = resolve(path)
    const lock = await lockFolder(folder, lockTimeout)
    const { reporter } = kernel
    kernel.provide('file', {
      folder,
      fsync,
      maxQueueSize,
      open(name, options, apply) {
        const file = join(folder, `${name}${EXTENSION}`)
        mkdirSync(dirname(file), { recursive: true })
        return Journal.open({ ...options, path: file, fsync, reporter, minGarbage: compactAfter }, apply)
      },
      header: (name) => readHeader(join(folder, `${name}${EXTENSION}`)),
      list(subfolder) {
        mkdirSync(join(folder, subfolder), { recursive: true })
        const names = readdirSync(join(folder, subfolder)).filter((name) => name.endsWith(EXTENSION))
        return names.map((name) => `${subfolder}/${name.slice(0, -EXTENSION.length)}`).toSorted()
      },
    })
    return () => lock.release()
  },
})
