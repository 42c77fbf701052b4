/**
 * Bundles the many files that the compiler wrote into a few. The code that every application loads is in two files, which halves
 * its loading time. Declarations
 * that no entry names are omitted.
 */
import { cpSync, existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { dirname, join, relative } from 'pathe'
import { rolldown } from 'rolldown'
import { minify } from 'rolldown/utils'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const DIST = join(ROOT, 'dist')

/** Returns the files that can be imported or run. Each keeps its path. */
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

/** Returns files and everything that they import statically from this package. */
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
// A command that asks a running process needs neither plugins nor the library of schemas.
const command = reached('plugins/integrations/cli/main.js')
// Code that browsers load must not share a file with code that they cannot load.
const pages = ['index.js', 'vue.js', 'ai.js'].map((file) => `plugins/integrations/client/${file}`)
const browser = reached(...pages)
const groups = [
  { name: 'shared', test: (id: string) => browser.has(id) && application.has(id), priority: 4 },
  // Each process of an isolated worker loads this group and nothing else.
  { name: 'base', test: (id: string) => child.has(id), priority: 3 },
  { name: 'command', test: (id: string) => command.has(id) && application.has(id), priority: 2 },
  { name: 'core', test: (id: string) => application.has(id), priority: 1 },
]

const output = mkdtempSync(join(tmpdir(), 'nuxt-queue-dist-'))
const bundle = await rolldown({
  input: entries(),
  external: /^[^./]/,
  platform: 'neutral',
  treeshake: false,
  // A module that most files import dynamically may be imported statically by a few.
  checks: { ineffectiveDynamicImport: false },
  // Without the comments that name the source of each part of a chunk.
  experimental: { attachDebugInfo: 'none' },
})
await bundle.write({
  dir: output,
  format: 'esm',
  entryFileNames: '[name].js',
  chunkFileNames: 'chunks/[name]-[hash].js',
  codeSplitting: { groups },
  // Simpler code is smaller. Names and lines are kept, so that stack traces can be read.
  minify: {
    compress: { target: 'es2024', keepNames: { function: true, class: true } },
    mangle: false,
    codegen: { removeWhitespace: false },
  },
  // The declarations carry the documentation. Bundlers still need annotations.
  comments: { legal: true, annotation: true, jsdoc: false },
})
await bundle.close()

for (const file of globSync('**/*.js', { cwd: DIST })) rmSync(join(DIST, file))
cpSync(output, DIST, { recursive: true })
rmSync(output, { recursive: true })

// Nobody reads stack traces of these files: a failure of the conformance suite names its test, and a command prints its message.
const options = { module: true, compress: false, mangle: { keepNames: true }, codegen: { removeWhitespace: true } }
for (const file of globSync(['testing/conformance/index.js', 'chunks/{main,import,init,output}-*.js'], { cwd: DIST })) {
  const path = join(DIST, file)
  const { code, errors } = await minify(path, readFileSync(path, 'utf8'), options)
  if (errors.length > 0) throw new Error(errors.map(({ message }) => message).join('\n'))
  writeFileSync(path, code)
}

/** Returns the declarations of the entries, and all that they name, directly or indirectly. */
function namedDeclarations(): Set<string> {
  const found = new Set(Object.keys(entries()).map((name) => join(DIST, `${name}.d.ts`)))
  for (const file of found) {
    const names = readFileSync(file, 'utf8').matchAll(/['"](\.{1,2}\/[^'"]+)\.[jt]s['"]/g)
    const paths = [...names].map(([, path]) => join(dirname(file), `${path!}.d.ts`))
    // Examples in comments name files of applications.
    for (const path of paths.filter((one) => existsSync(one))) found.add(path)
  }
  return found
}

const named = namedDeclarations()
for (const file of globSync('**/*.d.ts', { cwd: DIST })) if (!named.has(join(DIST, file))) rmSync(join(DIST, file))

// The compiler indents by four spaces. Tabs take less room.
for (const file of named) {
  const text = readFileSync(file, 'utf8')
  writeFileSync(
    file,
    text.replaceAll(/^(?: {4})+/gm, (spaces) => '\t'.repeat(spaces.length / 4)),
  )
}
