import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'pathe'

/** Nuxt loads its modules anew when its config changes; the process is what stays. */
const KEY = Symbol.for('nuxt-queue.development-folder')

/** A folder for what an application keeps in memory; it goes with the process of `nuxt dev`. */
export function developmentFolder(): string {
  const holder = globalThis as { [KEY]?: string }
  if (holder[KEY] === undefined) {
    const folder = mkdtempSync(join(tmpdir(), 'nuxt-queue-'))
    process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
    holder[KEY] = folder
  }
  return holder[KEY]
}
