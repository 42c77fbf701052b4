/**
 * Checks the package as users get it: what its manifest says (publint), and whether TypeScript finds the types of each entry (attw).
 * Needs the declarations of the build, and gives the same result with and without the code: code counts as present if its declaration is,
 * and consists of the line that names its interpreter, if there is one.
 */
import { globSync, readFileSync } from 'node:fs'
import { checkPackage, Package } from '@arethetypeswrong/core'
import { join, normalize } from 'pathe'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'

const ROOT = join(import.meta.dirname, '..')
/** Problems of users whose tools know no `exports`, or who use `require`. The package has only ES modules. */
const NOT_SUPPORTED: ReadonlySet<string> = new Set(['NoResolution node10', 'CJSResolvesToESM node16-cjs'])

/** The entries of plugins have one form, which `scripts/entry-points.ts` writes. Two of them stand for all. */
const OTHER_PLUGINS = /^\.\/plugins\/(?!(?:flow|queue-redis)$)/

const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { name: string; version: string }
const declarations = globSync('dist/**/*.d.ts', { cwd: ROOT }).map((path) => normalize(path))
const files = new Map<string, Uint8Array>(
  ['package.json', ...declarations].map((path) => [path, readFileSync(join(ROOT, path))]),
)
for (const path of declarations) {
  const source = readFileSync(join(ROOT, path.replace(/^dist\//, '').replace(/\.d\.ts$/, '.ts')), 'utf8')
  const interpreter = /^#!.*\n/.exec(source)?.[0] ?? ''
  files.set(path.replace(/\.d\.ts$/, '.js'), Buffer.from(`${interpreter}export {}\n`))
}

async function readManifest(): Promise<string[]> {
  const packed = [...files].map(([path, data]) => ({ name: `package/${path}`, data }))
  const { messages, pkg } = await publint({ pkgDir: 'package', strict: true, pack: { files: packed } })
  return messages.map((message) => formatMessage(message, pkg) ?? message.code)
}

async function resolveTypes(): Promise<string[]> {
  const installed = Object.fromEntries(
    [...files].map(([path, data]) => [`/node_modules/${manifest.name}/${path}`, data]),
  )
  const result = await checkPackage(new Package(installed, manifest.name, manifest.version), {
    excludeEntrypoints: [OTHER_PLUGINS],
  })
  if (!result.types) return ['No entry has types.']
  const of = (problem: object): string => ('resolutionKind' in problem ? ` ${String(problem.resolutionKind)}` : '')
  const wrong = result.problems.filter((problem) => !NOT_SUPPORTED.has(problem.kind + of(problem)))
  return wrong.map((problem) => JSON.stringify(problem))
}

const problems = [...(await readManifest()), ...(await resolveTypes())]
for (const problem of problems) process.stderr.write(`${problem}\n`)
if (problems.length > 0) process.exitCode = 1
