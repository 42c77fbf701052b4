/**
 * Makes few files of the many that the compiler wrote: what every application loads comes in two, which
 * halves the time it takes. Declarations stay as they are.
 */
import { cpSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { dirname, join, relative } from 'pathe'
import { rolldown } from 'rolldown'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const DIST = join(ROOT, 'dist')

/** What can be imported or run: each stays where it is. */
function entries(): Record<string, string> {
  const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    bin: Record<string, string>
    exports: Record<string, string | { default: string }>
  }
  const targets = Object.values(manifest.exports).map((target) =>
    typeof target === 'string' ? target : target.default,
  )
  const patterns = [...targets, ...Object.values(manifest.bin)].filter((target) => target.endsWith('.js'))
  const files = patterns.flatMap((pattern) => globSync(pattern, { cwd: ROOT }))
  return Object.fromEntries(files.map((file) => [relative('dist', file).replace(/\.js$/, ''), join(ROOT, file)]))
}

/** A file and all that it imports of this package, but for what it loads later. */
function reached(...files: string[]): Set<string> {
  const found = new Set(files.map((file) => join(DIST, file)))
  for (const file of found) {
    const imports = readFileSync(file, 'utf8').matchAll(/^(?:import|export)\s[^'"]*?['"](\.{1,2}\/[^'"]+)['"]/gm)
    for (const [, path] of imports) found.add(join(dirname(file), path!))
  }
  return found
}

const program = join(DIST, 'plugins/runtimes/isolated/child.js')
const child = reached('kernel/index.js', relative(DIST, program))
child.delete(program)
const application = reached('index.js', 'presets/dev.js')
// What browsers load as well may not be in one file with what they cannot.
const browser = reached('plugins/integrations/client/index.js', 'plugins/integrations/client/vue.js')
const groups = [
  { name: 'shared', test: (id: string) => browser.has(id) && application.has(id), priority: 3 },
  // Each process of an isolated worker loads this, and should load no more.
  { name: 'base', test: (id: string) => child.has(id), priority: 2 },
  { name: 'core', test: (id: string) => application.has(id), priority: 1 },
]

const made = mkdtempSync(join(tmpdir(), 'nuxt-queue-dist-'))
const bundle = await rolldown({
  input: entries(),
  external: /^[^./]/,
  platform: 'neutral',
  treeshake: false,
  // What is loaded later by most may be loaded at once by few.
  checks: { ineffectiveDynamicImport: false },
})
await bundle.write({
  dir: made,
  format: 'esm',
  entryFileNames: '[name].js',
  chunkFileNames: 'chunks/[name]-[hash].js',
  codeSplitting: { groups },
})
await bundle.close()

for (const file of globSync('**/*.js', { cwd: DIST })) rmSync(join(DIST, file))
cpSync(made, DIST, { recursive: true })
rmSync(made, { recursive: true })
