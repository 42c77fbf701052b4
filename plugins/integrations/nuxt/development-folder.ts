import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'pathe'

/** The folder is kept on the process, because Nuxt reloads its modules when its config changes. */
const KEY = Symbol.for('nuxt-queue.development-folder')

/** Returns a folder for the jobs that an application keeps in memory. It is deleted when `nuxt dev` ends. */
export function developmentFolder(): string {
  const holder = globalThis as { [KEY]?: string }
  if (holder[KEY] === undefined) {
    const folder = mkdtempSync(join(tmpdir(), 'nuxt-queue-'))
    process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
    holder[KEY] = folder
  }
  return holder[KEY]
}
