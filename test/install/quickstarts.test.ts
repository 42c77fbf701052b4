import { execFile } from 'node:child_process'
import { mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { dirname, join } from 'pathe'
import { describe, expect, it, onTestFinished } from 'vitest'
import { appFolder } from '../e2e/nuxt/workspace.ts'
import { startShell, type Finished, type Running } from '../e2e/processes.ts'
import { until } from '../e2e/redis/rig.ts'
import { inLongForm } from '../services/long.ts'
import { sharedRedis } from '../services/redis.ts'
import { freePort } from '../services/service.ts'
import { openSocket } from '../unit/http/rig.ts'
import { commandOf, readGuide } from './guide.ts'
import type { Install } from './install.ts'

interface Following {
  /** The heading whose blocks are followed. Default: all blocks of the page. */
  heading?: string
  /** The additional packages to install. Default: none. */
  install?: Install
  /** The URL of Redis. */
  redis?: string
  /** The port of the server in the guide. Default 4000. */
  port?: string
}

/** Writes the files of a guide into a folder below the package that was packed and installed. */
async function follow(page: string, { heading, install = 'alone', redis = '', port = '4000' }: Following = {}) {
  const guide = await readGuide(page, heading)
  const folder = await appFolder('guide', install)
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  // Another process may use the ports that the guide names.
  const ports = new Map<string, number>()
  for (const port of ['3000', '4000']) ports.set(port, await freePort())
  const free = (text: string): string =>
    text.replaceAll('redis://localhost:6379', redis).replaceAll(/\b[34]000\b/g, (port) => String(ports.get(port)))
  for (const [name, content] of Object.entries({ ...guide.files, 'package.json': '{ "type": "module" }' })) {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFile(join(folder, name), free(content))
  }
  await mkdir(join(folder, 'node_modules'))
  await symlink('../../node_modules/nuxt-queue', join(folder, 'node_modules/nuxt-queue'), 'junction')
  const env = {
    PORT: free(port),
    NUXT_QUEUE_REDIS_PREFIX: crypto.randomUUID(),
    NUXT_QUEUE_REDIS_CHECK_SERVER: 'false',
    PYTEST_DISABLE_PLUGIN_AUTOLOAD: '1',
  }
  /** Runs the commands that match, the last one as a separate process. */
  const start = (...patterns: RegExp[]): Running =>
    startShell(
      patterns.map((pattern) => free(commandOf(guide, pattern))),
      folder,
      env,
    )
  return {
    folder,
    start,
    run: (...patterns: RegExp[]): Promise<Finished> => start(...patterns).ended,
    /** Starts a program that the guide shows without the command. */
    node: (file: string): Running => startShell([`node ${file}`], folder, env),
    fetch: (url: string, init?: RequestInit) => fetch(free(url), init),
    socket: (url: string) => openSocket(free(url)),
  }
}

/** Ends a process as a terminal does, and returns what it printed. */
async function interrupt(running: Running, signal: NodeJS.Signals = 'SIGINT'): Promise<Finished> {
  running.kill(signal)
  return running.ended
}

const isCompleted = (data: unknown): boolean => (data as { type?: string }).type === 'step.completed'

describe('the guide for Node', () => {
  it('runs a worker from the command line, over HTTP and in a program', async () => {
    const guide = await follow('start/node.md')
    await using dev = guide.start(/nuxt-queue dev/)
    await dev.until(/hello +queue default/)
    expect(await guide.run(/enqueue hello/)).toMatchObject({ code: 0, stdout: expect.stringContaining('hello Ada') })
    expect(await guide.run(/nuxt-queue runs/)).toMatchObject({ stdout: expect.stringMatching(/completed +hello/) })
    const { stdout } = await guide.run(/curl .*4000/)
    expect(JSON.parse(stdout)).toMatchObject({ runId: expect.any(String) })
    expect((await interrupt(dev)).stdout).toContain('greeting Ada')
    expect(await guide.node('main.ts').ended).toMatchObject({ code: 0, stdout: 'hello Ada\n' })
  })

  it.each([
    ['node-http.ts', 'alone', 0],
    ['h3.ts', 'alone', 0],
    // The programs of these two guides handle no signals.
    ['express.ts', 'apps', null],
    ['fastify.ts', 'apps', null],
  ] as const)('serves the queue beside a page of the application, as %s', async (file, install, code) => {
    const guide = await follow('start/node.md', { install })
    await using server = guide.node(file)
    await expect
      .poll(() =>
        guide.fetch('http://localhost:3000/').then(
          (page) => page.text(),
          () => '',
        ),
      )
      .toBe('The shop')
    const api = 'http://localhost:3000/_queue/api'
    await using socket = await guide.socket(`${api}/stream`)
    const completed = socket.until((frames) => frames.some(({ data }) => isCompleted(data)))
    const body = JSON.stringify({ worker: 'hello', data: { name: 'Ada' } })
    const headers = { 'content-type': 'application/json' }
    expect((await guide.fetch(`${api}/jobs`, { method: 'POST', headers, body })).status).toBe(202)
    await completed
    expect((await interrupt(server, 'SIGTERM')).code).toBe(code)
  })

  it.each(inLongForm('production'))('runs jobs in %s, where NODE_ENV is not set, with and without HTTP', async () => {
    const redis = await sharedRedis()
    onTestFinished(() => redis.stop())
    const guide = await follow('start/node.md', { install: 'apps', redis: redis.url })
    const exported = /^export REDIS_URL/
    await using web = guide.start(exported, /start .*--no-worker/)
    await web.until(/http:/)
    await using workers = guide.start(exported, /nuxt-queue start$/)
    await workers.until(/hello +queue default/)
    expect((await guide.run(exported, /enqueue hello/)).stdout).toContain('hello Ada')
    for (const one of [workers, web]) expect((await interrupt(one, 'SIGTERM')).code).toBe(0)
    await using both = guide.start(exported, /--host 0\.0\.0\.0$/)
    await both.until(/http:/)
    expect((await guide.run(exported, /enqueue hello/)).stdout).toContain('hello Ada')
    expect((await interrupt(both, 'SIGTERM')).code).toBe(0)
  })
})

it.each(inLongForm(['nitropack 2', 'apps'] as const, ['Nitro 3', 'nitro3'] as const))(
  'the guide for Nitro runs a worker from a route of %s in development',
  async (heading, install) => {
    const guide = await follow('start/nitro.md', { heading, install, port: '3000' })
    await using dev = guide.start(/ dev$/)
    // The server refuses requests until its worker has loaded.
    await until(async () => (await guide.run(/^curl/)).stdout === 'hello Ada')
    await interrupt(dev)
  },
)

it.each(inLongForm('production'))('the guide for Nitro runs jobs in %s', async () => {
  const redis = await sharedRedis()
  onTestFinished(() => redis.stop())
  const nitro = { heading: 'nitropack 2', install: 'apps', port: '3000' } as const
  const guide = await follow('start/nitro.md', { ...nitro, redis: redis.url })
  expect(await guide.run(/nitropack build/)).toMatchObject({ code: 0 })
  await using server = guide.start(/index\.mjs/)
  await server.until(/Listening on/)
  expect(await guide.run(/^curl/)).toMatchObject({ stdout: 'hello Ada' })
  expect((await interrupt(server, 'SIGTERM')).code).toBe(0)
})

describe('the guide for Python', () => {
  it('runs a worker from a program and from the command line, and passes its test', async () => {
    const guide = await follow('start/python.md')
    await promisify(execFile)('python3', ['-m', 'venv', '--without-pip', '.venv'], { cwd: guide.folder })
    expect(await guide.run(/node main.ts/)).toMatchObject({ code: 0, stdout: `{ loss: 0.4995 }\n{ loss: 0.4995 }\n` })
    await using dev = guide.start(/nuxt-queue dev/)
    await dev.until(/train +queue default/)
    expect((await guide.run(/enqueue train/)).stdout).toContain('0.4995')
    expect((await interrupt(dev)).stdout).toMatch(/training/)
    expect(await guide.run(/pytest/)).toMatchObject({ code: 0, stdout: expect.stringContaining('1 passed') })
  })
})
