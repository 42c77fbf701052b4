/**
 * Compiles every block of TypeScript on the pages of the documentation, with the types of the package as its users have them:
 * `node scripts/blocks.ts`. Names that a block does not declare belong to the code of the reader, so they may have any type. Scripts of
 * components are compiled as well, and blocks of Python are parsed.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'pathe'
import { compileScript, parse } from 'vue/compiler-sfc'
import { pages, ROOT } from '../docs/.vitepress/pages.ts'

const FOLDER = join(ROOT, 'node_modules/.cache/docs-blocks')
const BLOCK = /^( *)```(\S+)([^\n]*)\n([\s\S]*?)^\1```$/gm
/** A comment that names a file begins another file. */
const FILE = /^(?=\/\/ [\w./[\]-]+\.(?:ts|mts)\b)/m

/** What a block may use without importing it: what the Nuxt module adds, and the objects that all examples have. */
const GLOBALS = `
import type * as Q from 'nuxt-queue'
import type * as V from 'nuxt-queue/vue'
declare global {
  const defineQueueConfig: typeof Q.defineQueueConfig
  const defineWorkerConfig: typeof Q.defineWorkerConfig
  const defineQueueWorker: typeof Q.defineQueueWorker
  const definePlugin: typeof Q.definePlugin
  const defineConfig: typeof Q.defineConfig
  const createKernel: typeof Q.createKernel
  const useKernel: typeof Q.useKernel
  const useRunContext: typeof Q.useRunContext
  const useQueueStream: typeof V.useQueueStream
  const useQueueClient: typeof V.useQueueClient
  function useQueue(): Q.Kernel
  function queueReady(): Promise<Q.Kernel>
  const kernel: Q.Kernel
  const { ref, computed, watch, onMounted }: typeof import('vue')
  const $fetch: (url: string, options?: object) => Promise<any>
  const ctx: Q.RunContext
}
`

/** Errors that come from names, packages and types of the reader's own code. */
const FOREIGN = new Set([
  'TS2304',
  'TS2552',
  'TS2503',
  'TS2307',
  'TS2792',
  'TS2686',
  'TS2582',
  'TS2593',
  'TS18004',
  'TS2451',
  'TS2300',
  'TS2528',
  'TS2323',
  'TS7016',
])

function blocksOf(page: string): { language: string; info: string; code: string; line: number }[] {
  const text = readFileSync(join(ROOT, page), 'utf8')
  return [...text.matchAll(BLOCK)].map(({ 1: indent, 2: language, 3: info, 4: code, index }) => ({
    language: language!,
    info: info!.trim(),
    code: code!.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
    line: text.slice(0, index).split('\n').length,
  }))
}

/** Returns the script of a component, and throws if its template does not compile. */
function scriptOf(component: string): string {
  const { descriptor, errors } = parse(component)
  const [error] = errors
  if (error) throw error
  compileScript(descriptor, { id: 'block', inlineTemplate: true })
  return compileScript(descriptor, { id: 'block' }).content
}

/** Throws if a block of Python has a mistake in its syntax. */
function checkPython(blocks: readonly { place: string; code: string }[]): void {
  const program = 'import json, sys\nfor block in json.load(sys.stdin): compile(block["code"], block["place"], "exec")'
  execFileSync('python3', ['-c', program], { input: JSON.stringify(blocks), stdio: ['pipe', 'ignore', 'inherit'] })
}

rmSync(FOLDER, { recursive: true, force: true })
mkdirSync(FOLDER, { recursive: true })
writeFileSync(join(FOLDER, 'globals.d.ts'), GLOBALS)
const options = {
  target: 'es2024',
  lib: ['es2024', 'dom', 'dom.iterable', 'esnext.disposable'],
  module: 'esnext',
  moduleResolution: 'bundler',
  strict: true,
  noImplicitAny: false,
  noEmit: true,
  skipLibCheck: true,
  allowImportingTsExtensions: true,
  types: ['node'],
}
writeFileSync(join(FOLDER, 'tsconfig.json'), JSON.stringify({ compilerOptions: options, include: ['**/*.ts'] }))

const written = new Map<string, string>()
const python: { place: string; code: string }[] = []
for (const page of ['README.md', ...pages().map(({ file }) => file)]) {
  for (const { language, info, code, line } of blocksOf(page)) {
    const place = `${page}:${line}`
    if (language === 'python' && info === '') python.push({ place, code })
    const source = language === 'vue' ? scriptOf(code) : language === 'ts' && info === '' ? code : ''
    for (const [index, part] of source === '' ? [] : source.split(FILE).entries()) {
      // A file stands where its comment says, so that the files of a page can import each other.
      const named = /^\/\/ ([\w./[\]-]+\.ts)\b/.exec(part)?.[1] ?? `block.ts`
      const folder = page.replaceAll(/[/.]/g, '_')
      const file = written.has(`${folder}/${named}`) ? `${folder}/${line}-${index}/${named}` : `${folder}/${named}`
      mkdirSync(dirname(join(FOLDER, file)), { recursive: true })
      writeFileSync(join(FOLDER, file), `${part}\nexport {}\n`)
      written.set(file, place)
    }
  }
}

checkPython(python)
let output = ''
try {
  execFileSync(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', FOLDER, '--pretty', 'false'], {
    encoding: 'utf8',
    cwd: FOLDER,
    maxBuffer: 1e8,
  })
} catch (error) {
  output = (error as { stdout: string }).stdout
}
const failures = output.split('\n').flatMap((text) => {
  const [, file, line, code, message] = /^([^(]+)\((\d+),\d+\): error (TS\d+): (.*)$/.exec(text) ?? []
  if (file === undefined || FOREIGN.has(code!)) return []
  const [, page, first] = /^(.*):(\d+)$/.exec(written.get(file) ?? '') ?? []
  return [`${page ?? file}:${Number(first) + Number(line)}: ${code} ${message}`]
})
for (const failure of failures) process.stderr.write(`${failure}\n`)
if (failures.length > 0) process.exitCode = 1
process.stdout.write(`${written.size} blocks, ${failures.length} errors\n`)
