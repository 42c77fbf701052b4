import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'pathe'
import { z } from 'zod'
import { definePlugin, type PluginKernel } from '../../../kernel/index.ts'
import { loadPackage } from '../../lib/optional-package.ts'
import { lockFolder } from '../lib/folder/lock.ts'
import { openDatabase } from './database.ts'
import { PREPARED } from './prepared.ts'

/**
 * The lease of a job in milliseconds. No other process can claim a job, so the lease only identifies jobs that a dead
 * process left. It is renewed before it is checked, so that a handler that blocks the event loop does not lose its jobs.
 */
const LEASE = 3000
/** The poll interval in milliseconds. Notifications are not lost within a process, so polling mainly finds due jobs. */
const POLL = 5000
/** How long the creation of a database and of its tables may take, in milliseconds, on a machine that is busy. */
const CREATION = 600_000

/** Runs PostgreSQL inside this process and keeps its data in a folder. The postgres plugins work on it without a server. */
export default definePlugin({
  name: 'pglite',
  configKey: 'embedded',
  options: z.strictObject({
    /** The folder of the database, relative to the working directory. Default `.nuxt-queue/pglite`. */
    path: z.string().min(1).default('.nuxt-queue/pglite'),
    /** The schema of all tables. Default `nuxt_queue`. */
    schema: z
      .string()
      .regex(/^[A-Za-z_][A-Za-z0-9_]{0,49}$/, 'must have 1 to 50 letters, digits or _, and must not start with a digit')
      .default('nuxt_queue'),
    /** How long to wait while another process uses the folder, in milliseconds. Default 0: fail immediately. */
    lockTimeout: z.number().min(0).default(0),
  }),
  async setup(kernel, { path, schema, lockTimeout }) {
    const folder = resolve(path)
    const lock = await lockFolder(folder, lockTimeout)
    try {
      await loadPackage(() => import('@electric-sql/pglite'), 'The plugin "pglite"', '@electric-sql/pglite pg-boss')
      const { close, ...database } = await openFolder(folder, kernel)
      const settings = { schema, lease: LEASE, pollInterval: POLL, reporter: kernel.reporter }
      kernel.provide('postgres', { backend: 'pglite', ...settings, ...database })
      return async () => {
        await close()
        lock.release()
      }
    } catch (error) {
      lock.release()
      throw error
    }
  },
})

/** Opens the database of a folder. The file `ready` marks a complete database; one without it is deleted and created again. */
async function openFolder(folder: string, kernel: Pick<PluginKernel, 'extendSetup' | 'reporter'>) {
  const [dataDir, ready] = [join(folder, 'data'), join(folder, 'ready')]
  const fresh = !existsSync(ready)
  if (fresh) {
    rmSync(dataDir, { recursive: true, force: true })
    kernel.extendSetup(CREATION)
    if (!existsSync(PREPARED))
      kernel.reporter.warn(`Creating the database in ${folder}. This takes some seconds, once.`)
  }
  const database = await openDatabase({ dataDir, fresh }, kernel.reporter)
  if (fresh) writeFileSync(ready, '', { flush: true })
  return database
}
