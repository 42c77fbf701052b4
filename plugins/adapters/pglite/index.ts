import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'pathe'
import { z } from 'zod'
import { definePlugin, QueueError, type Reporter } from '../../../kernel/index.ts'
import { lockFolder } from '../lib/folder/lock.ts'
import { openDatabase } from './database.ts'

/**
 * Nobody else can have a job: the lease only tells what a process that died has left, and it is renewed
 * before it is looked at, so that a handler which blocks the event loop loses nothing.
 */
const LEASE = 3000
/** Notifications do not get lost inside a process, so polling is for what is due, and for the unforeseen. */
const POLL = 5000

/** PostgreSQL inside this process, kept in a folder: what the plugins over Postgres need, without a server. */
export default definePlugin({
  name: 'pglite',
  configKey: 'embedded',
  options: z.strictObject({
    /** Where the database is kept, from the working directory. Default `.nuxt-queue/pglite`. */
    path: z.string().min(1).default('.nuxt-queue/pglite'),
    /** The schema that holds all tables. */
    schema: z
      .string()
      .regex(/^[A-Za-z_][A-Za-z0-9_]{0,49}$/, 'takes letters, digits and _, 50 at most, and starts with no digit')
      .default('nuxt_queue'),
    /** Milliseconds to wait for another process that has the folder. Default 0: refuse at once. */
    lockTimeout: z.number().min(0).default(0),
  }),
  async setup(kernel, { path, schema, lockTimeout }) {
    const folder = resolve(path)
    const lock = await lockFolder(folder, lockTimeout)
    try {
      await import('@electric-sql/pglite').catch((cause: unknown) => {
        const message = 'The embedded database needs the packages "@electric-sql/pglite" and "pg-boss".'
        throw new QueueError('PLUGIN_SETUP_FAILED', `${message} Run: npm install @electric-sql/pglite pg-boss`, {
          cause,
        })
      })
      const { close, ...database } = await openFolder(folder, kernel.reporter)
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

/** A database is there once `ready` is: what a process left that died while making one is made anew. */
async function openFolder(folder: string, reporter: Reporter) {
  const [dataDir, ready] = [join(folder, 'data'), join(folder, 'ready')]
  const fresh = !existsSync(ready)
  if (fresh) rmSync(dataDir, { recursive: true, force: true })
  const database = await openDatabase({ dataDir, fresh }, reporter)
  if (fresh) writeFileSync(ready, '', { flush: true })
  return database
}
