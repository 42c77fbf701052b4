/**
 * The table of all entry points. `node scripts/entry-points.ts` writes it into `exports` of package.json. The build, tests and tools
 * read it from there.
 */
import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { join } from 'pathe'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const MANIFEST = join(ROOT, 'package.json')

/** Entry points that are not plugins, and the file of each. */
const OTHERS: Record<string, string> = {
  '.': 'index',
  './kernel': 'kernel/index',
  './presets': 'presets/index',
  './child-process': 'plugins/runtimes/lib/child-process/index',
  './nuxt': 'plugins/integrations/nuxt/index',
  './nitro': 'plugins/integrations/nitro/index',
  './nitro/runtime': 'plugins/integrations/lib/nitro/runtime/index',
  './client': 'plugins/integrations/client/index',
  './vue': 'plugins/integrations/client/vue',
  './ai': 'plugins/integrations/client/ai',
  './ai/server': 'plugins/integrations/lib/ai/index',
  './postgres': 'plugins/adapters/postgres/lib/transactions',
  './testing': 'testing/index',
  './testing/conformance': 'testing/conformance/index',
}

/** Files that other processes run. Users do not import them, so they have no types. */
const PROGRAMS: Record<string, string> = {
  './programs/isolated-child': 'plugins/runtimes/isolated/child',
  './programs/pglite-thread': 'plugins/adapters/pglite/thread',
}

/**
 * Returns the name under which users import a plugin. Names are flat: the family is not part of the name, and the adapter folder
 * `redis/queue` becomes `queue-redis`.
 */
export function pluginName(folder: string): string {
  const [, family, name, part] = folder.split('/') as [string, string, string, string?]
  if (family === 'runtimes') return `runtime-${name}`
  if (part === undefined || part === 'connection') return name
  return `${part}-${name}`
}

/** Returns the folder of every plugin, by the name under which users import it. */
export function pluginFolders(): Map<string, string> {
  const found = globSync(['plugins/*/*/index.ts', 'plugins/adapters/*/*/index.ts'], { cwd: ROOT })
  const folders = found.map((file) => file.replace(/\/index\.ts$/, '')).filter((folder) => !folder.includes('/lib/'))
  const byName = new Map(folders.map((folder) => [pluginName(folder), folder]))
  return new Map([...byName.keys()].toSorted().map((name) => [name, byName.get(name)!]))
}

/** Returns the import path and the file, without its extension, of every entry point. */
function modules(): [path: string, file: string][] {
  const plugins = [...pluginFolders()].map(([name, folder]): [string, string] => [
    `./plugins/${name}`,
    `${folder}/index`,
  ])
  return [...Object.entries(OTHERS), ...plugins]
}

/** Returns the value of `exports` in package.json. */
export function entryPoints(): Record<string, unknown> {
  const imported = modules().map(([path, file]) => [
    path,
    { types: `./dist/${file}.d.ts`, default: `./dist/${file}.js` },
  ])
  const programs = Object.entries(PROGRAMS).map(([path, file]) => [path, `./dist/${file}.js`])
  return { ...Object.fromEntries([...imported, ...programs]), './package.json': './package.json' }
}

/** Returns aliases from each entry point to its source, for tools that run sources. */
export function sourceAliases(): { find: RegExp; replacement: string }[] {
  return modules().map(([path, file]) => ({
    find: new RegExp(`^nuxt-queue${path.slice(1)}$`),
    replacement: join(ROOT, `${file}.ts`),
  }))
}

if (import.meta.main) {
  const manifest = JSON.parse(readFileSync(MANIFEST, 'utf8')) as Record<string, unknown>
  writeFileSync(MANIFEST, `${JSON.stringify({ ...manifest, exports: entryPoints() }, null, 2)}\n`)
}
