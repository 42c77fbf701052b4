import { existsSync } from 'node:fs'
import { dirname, join } from 'pathe'
import { pluginFolders } from '../entry-points.ts'
import { ROOT } from './source.ts'

const folders = [...pluginFolders()].toSorted(([, a], [, b]) => b.length - a.length)

/** Returns a link from a page of the reference to the README of the part that declares something. */
export function originOf(file: string): string {
  const plugin = folders.find(([, folder]) => file.startsWith(`${folder}/`))
  if (plugin) return `[${plugin[0]}](../../${plugin[1]}/README.md)`
  const folder = dirname(file)
  if (file.startsWith('plugins/') && existsSync(join(ROOT, folder, 'README.md'))) {
    return `[${folder.split('/').at(-1)}](../../${folder}/README.md)`
  }
  return '[kernel](../../kernel/README.md)'
}
