import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { dirname, join } from 'pathe'
import { appFolder } from '../e2e/nuxt/workspace.ts'
import type { Bench } from './harness.ts'

const run = promisify(execFile)
const PORT = 4399
const env = { ...process.env, PORT: String(PORT), HOST: '127.0.0.1', NUXT_TELEMETRY_DISABLED: '1' }

const PAGE = { 'app/app.vue': '<template><h1>An app</h1></template>\n' }
const BARE = { ...PAGE, 'nuxt.config.ts': 'export default defineNuxtConfig({})\n' }
const WITH = {
  ...PAGE,
  'nuxt.config.ts': `export default defineNuxtConfig({ modules: ['nuxt-queue'], queue: { adapter: 'memory' } })\n`,
  'server/queues/hello.ts': `export default defineQueueWorker(() => 'hello')\n`,
}

async function built(name: string, files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await appFolder(name)
  for (const [path, content] of Object.entries({ ...files, 'package.json': '{ "type": "module" }' })) {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await writeFile(join(folder, path), content)
  }
  await run(process.execPath, [join(folder, '../node_modules/nuxt/bin/nuxt.mjs'), 'build'], { cwd: folder, env })
  return folder
}

/** Measures the milliseconds from the start of a server to the end of its first response. */
async function firstAnswer(folder: string): Promise<number> {
  const began = performance.now()
  const server = spawn(process.execPath, [join(folder, '.output/server/index.mjs')], { env, stdio: 'ignore' })
  while (!(await answers())) await new Promise((resolve) => setTimeout(resolve, 2))
  const took = performance.now() - began
  server.kill('SIGKILL')
  await once(server, 'close')
  return took
}

async function answers(): Promise<boolean> {
  try {
    const response = await fetch(`http://127.0.0.1:${PORT}/`)
    await response.text()
    return true
  } catch {
    return false
  }
}

/** Measures how much the module adds to the start of a production server. */
export default async function nuxt(bench: Bench): Promise<void> {
  const [bare, own] = [await built('bare', BARE), await built('with', WITH)]
  await bench.compare({
    case: 'start',
    unit: 'ms',
    against: 'the same application without the module',
    larger: false,
    runs: 15,
    ours: () => firstAnswer(own),
    base: () => firstAnswer(bare),
  })
  await Promise.all([bare, own].map((folder) => rm(folder, { recursive: true, force: true })))
}
