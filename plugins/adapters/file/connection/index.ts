import { mkdirSync, readdirSync } from 'node:fs'
import { dirname, join, resolve } from 'pathe'
import { z } from 'zod'
import { definePlugin } from '../../../../kernel/index.ts'
import { Journal } from '../../lib/folder/journal.ts'
import { lockFolder } from '../../lib/folder/lock.ts'
import { readHeader } from '../../lib/folder/read-journal.ts'

const EXTENSION = '.jsonl'

/** A folder on disk for the plugins that keep their journals there. One kernel has it at a time. */
export default definePlugin({
  name: 'file',
  options: z.strictObject({
    /** Where jobs and events are kept, from the working directory. Default `.nuxt-queue/data`. */
    path: z.string().min(1).default('.nuxt-queue/data'),
    /**
     * When a write is on the disk: `always` before anything else happens, `batch` before it is
     * acknowledged, `never` when the system likes. Default `batch`.
     */
    fsync: z.enum(['always', 'batch', 'never']).default('batch'),
    /** Milliseconds to wait for another process that has the folder. Default 0: refuse at once. */
    lockTimeout: z.number().min(0).default(0),
    /** How many jobs may wait in one queue, delayed ones included; then `enqueue` throws `QUEUE_FULL`. Default: no limit. */
    maxQueueSize: z.number().int().min(1).or(z.literal(Infinity)).default(Infinity),
    /** How many obsolete lines a journal holds at the least before it is compacted. Default 10,000. */
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
