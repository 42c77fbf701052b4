import { execFile } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { createKernel, type Kernel, type KernelConfig } from 'nuxt-queue/kernel'
import { expect, onTestFinished, test } from 'vitest'
import dev from '../../presets/dev.ts'
import { collectReports } from '../../testing/conformance/harness.ts'
import { gone } from './process-tree.ts'

type Files = Readonly<Record<string, string>>

async function folderOf(files: Files): Promise<string> {
  const rootDir = await mkdtemp(join(tmpdir(), 'nuxt-queue-'))
  onTestFinished(() => rm(rootDir, { recursive: true, force: true }))
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(rootDir, path)), { recursive: true })
    await writeFile(join(rootDir, path), text)
    if (text.startsWith('#!')) await chmod(join(rootDir, path), 0o755)
  }
  return rootDir
}

async function open(rootDir: string, { registry, ...config }: KernelConfig = {}) {
  const { reports, reporter } = collectReports()
  const kernel = await createKernel({
    preset: dev,
    config: { registry: { rootDir, ...(registry as object) }, python: { rootDir }, ...config },
    reporter,
  })
  onTestFinished(async () => void (await kernel.close()))
  await kernel.start()
  return { kernel, messages: () => reports.map(({ message }) => message) }
}

const run = async (kernel: Kernel, worker: string, data?: unknown): Promise<unknown> =>
  kernel.result(await kernel.enqueue(worker, data))
const workersOf = ({ registry }: Kernel): string[] =>
  registry.workers.map(({ id }) => id).filter((id) => !id.startsWith('_'))

const LATE = 'It has not loaded within 7125 ms.'
const PYTHON = (body: string, top = ''): string =>
  `${top}\nfrom nuxt_queue import define_worker\n\n@define_worker\ndef handler(job, ctx):\n    ${body}\n`

test('a file that hangs when it is imported is named and skipped, runs once it has loaded, and is killed at the end', async () => {
  const hangs = [
    'import os, subprocess, time',
    'child = subprocess.Popen(["sleep", "60"])',
    'open(__file__ + ".pid", "w").write(f"{os.getpid()} {child.pid}")',
    'time.sleep(60)',
  ].join('\n')
  const rootDir = await folderOf({
    'server/queues/a.py': hangs,
    'server/queues/b.py': PYTHON('return "python"'),
    'server/queues/c.mjs':
      'await new Promise((resolve) => setTimeout(resolve, 60_000).unref())\nexport default () => 1',
    'server/queues/d.mjs': `export default () => 'node'`,
    'server/queues/e.sh': '#!/bin/sh\necho \'"exec"\'\n',
    'server/queues/f.mjs': `await new Promise((resolve) => (globalThis.openGate = resolve))\nexport default () => 'late'`,
    'server/queues/g.py': PYTHON('return "late"', 'open(__file__ + ".gate").read()'),
  })
  const gate = join(rootDir, 'server/queues/g.py.gate')
  await promisify(execFile)('mkfifo', [gate])
  const { kernel, messages } = await open(rootDir, { setupTimeout: 7_500 })
  expect(workersOf(kernel)).toEqual(['b', 'd', 'e'])
  expect(messages()).toEqual([
    ...['a.py', 'c.mjs', 'f.mjs', 'g.py'].map(
      (name) => expect.stringContaining(`${name} is skipped: ${LATE}`) as string,
    ),
  ])
  ;(globalThis as unknown as { openGate: () => void }).openGate()
  await writeFile(gate, 'open')
  await expect.poll(() => workersOf(kernel).toSorted()).toEqual(['b', 'd', 'e', 'f', 'g'])
  await rm(gate)
  await writeFile(gate, 'open')
  for (const id of ['f', 'g']) expect(await run(kernel, id)).toBe('late')
  for (const id of ['b', 'd', 'e']) expect(await run(kernel, id)).toBe({ b: 'python', d: 'node', e: 'exec' }[id])
  const before = messages().length
  await kernel.close()
  expect(messages()).toHaveLength(before)
  const pids = await readFile(join(rootDir, 'server/queues/a.py.pid'), 'utf8')
  for (const pid of pids.split(' ')) await gone(Number(pid))
})

test('Python workers may have the names of modules of the standard library', async () => {
  const names = ['email', 'queue', 'token', 'json', 'signal', 'logging', 'types']
  const rootDir = await folderOf({
    ...Object.fromEntries(names.map((name) => [`server/queues/${name}.py`, PYTHON(`return "${name}"`)])),
    'server/queues/helper.py': PYTHON('return 1', 'VALUE = 7'),
    'server/queues/asks.py': PYTHON(
      'return [HTTPConnection.__name__, str(queue.Queue.__name__), helper.VALUE]',
      'import helper, json, logging, queue, tokenize\nfrom email.message import Message\nfrom http.client import HTTPConnection',
    ),
  })
  const { kernel, messages } = await open(rootDir, { python: { rootDir, cwd: join(rootDir, 'server/queues') } })
  expect(messages()).toEqual([])
  for (const name of names) expect(await run(kernel, name)).toBe(name)
  expect(await run(kernel, 'asks')).toEqual(['HTTPConnection', 'Queue', 7])
})

test('workers in mounted configuration, where all files are links, and links to folders', async () => {
  const rootDir = await folderOf({
    'server/queues/..2026_11_29/hello.mjs': `export default () => 'mounted'`,
    'server/queues/..2026_11_29/train.py': PYTHON('return "python"'),
    'shared/more/deep.mjs': `export default () => 'deep'`,
  })
  const queues = join(rootDir, 'server/queues')
  await symlink('..2026_11_29', join(queues, '..data'))
  await symlink('..data/hello.mjs', join(queues, 'hello.mjs'))
  await symlink('..data/train.py', join(queues, 'train.py'))
  await symlink('../../shared', join(queues, 'shared'))
  await symlink('..', join(rootDir, 'shared/again'))
  await symlink('nowhere.mjs', join(queues, 'lost.mjs'))
  const { kernel, messages } = await open(rootDir)
  expect(workersOf(kernel)).toEqual(expect.arrayContaining(['hello', 'train', 'shared/more/deep']))
  expect(messages()).toEqual([expect.stringMatching(/lost\.mjs is skipped: .*ENOENT/)])
  expect(await run(kernel, 'hello')).toBe('mounted')
  expect(await run(kernel, 'train')).toBe('python')
  expect(await run(kernel, 'shared/more/deep')).toBe('deep')
})

test('imports no packages if the folder of workers is a whole project', async () => {
  const boom = `throw new Error('imported')`
  const rootDir = await folderOf({
    'hello.mjs': `export default () => 'hello'`,
    'node_modules/some/index.mjs': boom,
    'deep/node_modules/other/index.mjs': boom,
    '.nuxt/built.mjs': boom,
  })
  const { kernel, messages } = await open(rootDir, { registry: { dirs: ['.'] } })
  expect(workersOf(kernel)).toEqual(['hello'])
  expect(messages()).toEqual([])
})

test('compiled CommonJS workers load, and load again when they change', async () => {
  const compiled = (text: string): string =>
    `"use strict";\nObject.defineProperty(exports, "__esModule", { value: true });\nexports.config = { concurrency: 3 };\nexports.default = async () => '${text}';\n`
  const rootDir = await folderOf({
    'package.json': '{ "type": "commonjs" }',
    'server/queues/compiled.js': compiled('one'),
    'server/queues/plain.cjs': `module.exports = async () => 'plain'`,
    'server/queues/object.cjs': `module.exports = { default: async () => 'object', config: { concurrency: 2 } }`,
    'server/queues/isolated.cjs': `exports.config = { runtime: 'node-isolated' }; exports.default = async () => 'isolated'; exports.__esModule = true`,
  })
  const { kernel, messages } = await open(rootDir, { registry: { watch: true } })
  expect(messages()).toEqual([])
  const concurrency = (id: string): unknown => kernel.registry.get(id)?.worker.concurrency
  expect(['compiled', 'plain', 'object'].map(concurrency)).toEqual([3, 1, 2])
  for (const id of ['plain', 'object', 'isolated']) expect(await run(kernel, id)).toBe(id)
  expect(await run(kernel, 'compiled')).toBe('one')
  const file = join(rootDir, 'server/queues/compiled.js')
  await writeFile(join(rootDir, 'new.js'), compiled('two'))
  const before = kernel.registry.get('compiled')
  await rename(join(rootDir, 'new.js'), file)
  await expect.poll(() => kernel.registry.get('compiled') !== before).toBe(true)
  expect(await run(kernel, 'compiled')).toBe('two')
})
