/**
 * Tests this package with the oldest and the newest version of each peer, and prints a table. It asks the registry for the newest
 * versions, so its result may change without a change in this repository. Arguments select rows: `npm run compat -- nuxt pg`.
 */
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { promisify, stripVTControlCharacters } from 'node:util'
import { dirname, join, resolve } from 'pathe'

const run = promisify(execFile)
const ROOT = resolve(import.meta.dirname, '..')
const QUIET = ['--no-audit', '--no-fund', '--loglevel=error']
const LONGEST = { maxBuffer: 64 * 1024 * 1024 }
const CONFIG = `compatibilityDate: '2026-01-01', queue: { adapter: 'memory' }`

interface Row {
  name: string
  /** The versions in the syntax of npm: the oldest version, or the supported range. */
  packages: Readonly<Record<string, string>>
  overrides?: Readonly<Record<string, string>>
  try(folder: string): Promise<void>
}

const NUXT = {
  'nuxt.config.ts': `export default defineNuxtConfig({ modules: ['nuxt-queue'], ${CONFIG} })\n`,
  'app/app.vue': `<template><NuxtPage /></template>\n`,
  'app/pages/index.vue': `<template><p>A page</p></template>\n`,
}
const NITRO = {
  'nitro.config.ts': `export default { srcDir: 'server', modules: ['nuxt-queue/nitro'], ${CONFIG} }\n`,
}
const SERVER = {
  'server/queues/hello.ts': `export default defineQueueWorker((job) => 'hello ' + job.data)\n`,
  'server/api/hello.get.ts': `export default defineEventHandler(async () => {
  const queue = useQueue()
  return queue.result(await queue.enqueue('hello', 'Ada'), { timeout: 30_000 })
})\n`,
}

/** Nitro 3 imports nothing by itself. */
const NITRO_3 = {
  'nitro.config.ts': `export default { serverDir: 'server', modules: ['nuxt-queue/nitro'], ${CONFIG} }\n`,
}
const VITE = `import { nitro } from 'nitro/vite'\nexport default { plugins: [nitro()] }\n`
const SERVER_3 = {
  'server/queues/hello.ts': `import { defineQueueWorker } from 'nuxt-queue'\n${SERVER['server/queues/hello.ts']}`,
  'server/api/hello.get.ts': `import { defineEventHandler } from 'nitro/h3'
import { useQueue } from 'nuxt-queue/nitro/runtime'
${SERVER['server/api/hello.get.ts']}`,
}
const NIGHTLY = 'npm:nuxt-nightly@5.0.0-29830089.dc519522'

/** Builds an application with the installed packages, starts it, and runs a job in it. */
function application(cli: string, files: Readonly<Record<string, string>>) {
  return async (folder: string): Promise<void> => {
    for (const [path, text] of Object.entries({ ...SERVER, ...files })) {
      await mkdir(dirname(join(folder, path)), { recursive: true })
      await writeFile(join(folder, path), text)
    }
    await run(process.execPath, [join(folder, 'node_modules', cli), 'build'], { cwd: folder, ...LONGEST })
    const port = String(20_000 + (process.pid % 20_000))
    const env = { ...process.env, PORT: port, HOST: '127.0.0.1' }
    const server = execFile(process.execPath, [join(folder, '.output/server/index.mjs')], { env })
    const ended = once(server, 'close')
    try {
      let output = ''
      for await (const chunk of server.stdout!) if (/Listening/.test((output += String(chunk)))) break
      const said = await (await fetch(`http://127.0.0.1:${port}/api/hello`)).text()
      if (said !== 'hello Ada') throw new Error(`The job must return "hello Ada"; got: ${said}`)
    } finally {
      server.kill('SIGKILL')
      await ended.catch(() => {})
    }
  }
}

/** Runs test files of this repository with the installed packages instead of those of its lock file. */
function suites(...files: string[]) {
  return async (folder: string): Promise<void> => {
    const vitest = join(folder, 'node_modules/vitest/vitest.mjs')
    await run(process.execPath, [vitest, 'run', ...files, '--maxWorkers=1'], { cwd: folder, ...LONGEST })
  }
}

const nuxt = application('nuxt/bin/nuxt.mjs', NUXT)
const nuxt5 = application('nuxt/bin/nuxt.mjs', { ...NUXT, ...SERVER_3 })
const nitro = application('nitropack/dist/cli/index.mjs', NITRO)
const nitro3 = application('nitro/dist/cli/index.mjs', { ...NITRO_3, ...SERVER_3 })
const nitro3Vite = application('vite/bin/vite.js', { ...NITRO_3, ...SERVER_3, 'vite.config.ts': VITE })
const redis = suites('test/conformance/queue-redis.test.ts', 'test/conformance/events-redis.test.ts')
const postgres = suites('test/conformance/queue-postgres.test.ts', 'test/conformance/events-postgres.test.ts')
const embedded = suites('test/conformance/embedded.test.ts')

const APPLICATIONS: readonly Row[] = [
  { name: 'nuxt oldest', packages: { nuxt: '4.0.0' }, try: nuxt },
  { name: 'nuxt newest', packages: { nuxt: '>=4' }, try: nuxt },
  { name: 'nuxt newest, vite 8.3', packages: { nuxt: '>=4' }, overrides: { vite: '~8.3.8' }, try: nuxt },
  // A Nuxt that is in development. With vite 8.4 it does not build, with or without this package.
  { name: 'nuxt 5 nightly', packages: { nuxt: NIGHTLY }, overrides: { vite: '~8.3.8' }, try: nuxt5 },
  { name: 'nitro 3', packages: { nitro: '3.0.260903-beta' }, try: nitro3 },
  { name: 'nitro 3, vite', packages: { nitro: '3.0.260903-beta', vite: '~8.3.8' }, try: nitro3Vite },
  { name: 'nitro oldest', packages: { nitropack: '2.12.0' }, try: nitro },
  { name: 'nitro newest', packages: { nitropack: '^2.12.0' }, try: nitro },
]
const ADAPTERS: readonly Row[] = [
  { name: 'bullmq and ioredis oldest', packages: { bullmq: '6.7.0', ioredis: '5.4.0' }, try: redis },
  { name: 'bullmq and ioredis 5 newest', packages: { bullmq: '^6.7.0', ioredis: '^5.4.0' }, try: redis },
  { name: 'bullmq and ioredis 6 newest', packages: { bullmq: '^6.7.0', ioredis: '^6.0.0' }, try: redis },
  { name: 'pg-boss and pg oldest', packages: { 'pg-boss': '12.38.0', pg: '8.16.0' }, try: postgres },
  { name: 'pg-boss and pg newest', packages: { 'pg-boss': '^12.38.0', pg: '^8.16.0' }, try: postgres },
  { name: 'pglite oldest', packages: { '@electric-sql/pglite': '0.5.14' }, try: embedded },
  { name: 'pglite newest', packages: { '@electric-sql/pglite': '>=0.5.14 <0.6' }, try: embedded },
]

/** Installs this package into an empty folder, like a user does. */
async function install({ packages, overrides }: Row, folder: string): Promise<void> {
  await run('npm', ['pack', '--ignore-scripts', '--pack-destination', folder], { cwd: ROOT, ...LONGEST })
  const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { version: string }
  const dependencies = { ...packages, 'nuxt-queue': `file:nuxt-queue-${version}.tgz` }
  await writeFile(
    join(folder, 'package.json'),
    JSON.stringify({ private: true, type: 'module', dependencies, overrides }),
  )
  await run('npm', ['install', ...QUIET], { cwd: folder, ...LONGEST })
}

/** Copies this repository and installs other versions of some packages. */
async function copy({ packages }: Row, folder: string): Promise<void> {
  const { stdout } = await run('git', ['ls-files', '-z'], { cwd: ROOT, ...LONGEST })
  for (const path of stdout.split('\0').filter(Boolean)) await cp(join(ROOT, path), join(folder, path))
  await run('npm', ['ci', ...QUIET], { cwd: folder, ...LONGEST })
  const versions = Object.entries(packages).map(([name, version]) => `${name}@${version}`)
  await run('npm', ['install', '--no-save', ...QUIET, ...versions], { cwd: folder, ...LONGEST })
}

async function installed(folder: string, names: readonly string[]): Promise<string> {
  const versions = names.map(async (name) => {
    const text = await readFile(join(folder, 'node_modules', name, 'package.json'), 'utf8').catch(() => '{}')
    const { version } = JSON.parse(text) as { version?: string }
    return version === undefined ? [] : [`${name}@${version}`]
  })
  return (await Promise.all(versions)).flat().join(' ')
}

/** Returns the most informative line of an error. */
function reason(error: unknown): string {
  const { stdout = '', stderr = '', message } = error as Error & { stdout?: string; stderr?: string }
  const lines = stripVTControlCharacters(`${stderr}\n${stdout}\n${message}`).split('\n')
  const found = lines.find((line) => /^ *FAIL /.test(line)) ?? lines.find((line) => /error|fail/i.test(line))
  return found?.trim() ?? message
}

const chosen = process.argv.slice(2)
const rows = [...APPLICATIONS, ...ADAPTERS].filter(
  ({ name }) => chosen.length === 0 || chosen.some((word) => name.includes(word)),
)
process.stdout.write('| tried | installed | result |\n|---|---|---|\n')
for (const row of rows) {
  const folder = await mkdtemp(join(tmpdir(), 'nuxt-queue-compat-'))
  let result = 'works'
  try {
    await (APPLICATIONS.includes(row) ? install : copy)(row, folder)
    await row.try(folder)
  } catch (error) {
    result = reason(error)
    process.exitCode = 1
  }
  const versions = await installed(folder, [...Object.keys(row.packages), 'vite'])
  process.stdout.write(`| ${row.name} | ${versions} | ${result.replaceAll('|', '/')} |\n`)
  await rm(folder, { recursive: true, force: true })
}
