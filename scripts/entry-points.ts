/**
 * The one table of what can be imported. `node scripts/entry-points.ts` writes it into `exports` of package.json;
 * build, tests and tools read it from there.
 */
import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { join } from 'pathe'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const MANIFEST = join(ROOT, 'package.json')

/** Entry points that are no plugins, and the file that each stands for. */
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
  './testing': 'testing/index',
  './testing/conformance': 'testing/conformance/index',
}

/** Files that other processes run. They are not imported, so that they have no types. */
const PROGRAMS: Record<string, string> = {
  './programs/isolated-child': 'plugins/runtimes/isolated/child',
  './programs/pglite-thread': 'plugins/adapters/pglite/thread',
}

/**
 * Returns the name that users import a plugin by. Names are flat: the family is not part of them, and of an
 * adapter's folder `redis/queue` is `queue-redis`.
 */
export function pluginName(folder: string): string {
  const [, family, name, part] = folder.split('/') as [string, string, string, string?]
  if (family === 'runtimes') return `runtime-${name}`
  if (part === undefined || part === 'connection') return name
  return `${part}-${name}`
}

/** Returns the folder of every plugin, by the name that users import it by. */
export function pluginFolders(): Map<string, string> {
  const found = globSync(['plugins/*/*/index.ts', 'plugins/adapters/*/*/index.ts'], { cwd: ROOT })
  const folders = found.map((file) => file.replace(/\/index\.ts$/, '')).filter((folder) => !folder.includes('/lib/'))
  const byName = new Map(folders.map((folder) => [pluginName(folder), folder]))
  return new Map([...byName.keys()].toSorted().map((name) => [name, byName.get(name)!]))
}

/** Returns the file, without its ending, of everything that can be imported. */
function modules(): [path: string, file: string][] {
  const plugins = [...pluginFolders()].map(([name, folder]): [string, string] => [
    `./plugins/${name}`,
    `${folder}/index`,
  ])
  return [...Object.entries(OTHERS), ...plugins]
}

/** Returns what `exports` of package.json has to hold. */
export function entryPoints(): Record<string, unknown> {
  const imported = modules().map(([path, file]) => [
    path,
    { types: `./dist/${file}.d.ts`, default: `./dist/${file}.js` },
  ])
  const programs = Object.entries(PROGRAMS).map(([path, file]) => [path, `./dist/${file}.js`])
  return { ...Object.fromEntries([...imported, ...programs]), './package.json': './package.json' }
}

/** Returns aliases that make each entry point its source, for tools that run sources. */
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
