import { execFile } from 'node:child_process'
import { mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { dirname, join } from 'pathe'
import { describe, expect, it, onTestFinished } from 'vitest'
import { appFolder } from '../e2e/nuxt/workspace.ts'
import { startShell, type Finished, type Running } from '../e2e/processes.ts'
import { inLongForm } from '../services/long.ts'
import { sharedRedis } from '../services/redis.ts'
import { freePort } from '../services/service.ts'
import { commandOf, readGuide } from './guide.ts'
import type { Install } from './install.ts'

/** Writes the files of a guide into a folder below the package that was packed and installed. */
async function follow(page: string, { install = 'alone', redis = '' }: { install?: Install; redis?: string } = {}) {
  const guide = await readGuide(page)
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
    PORT: free('4000'),
    NUXT_QUEUE_REDIS_PREFIX: crypto.randomUUID(),
    NUXT_QUEUE_REDIS_CHECK_SERVER: 'false',
    PYTEST_DISABLE_PLUGIN_AUTOLOAD: '1',
  }
  /** Starts the commands that match, the last one as a process of its own. */
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
    fetch: (url: string) => fetch(free(url)),
  }
}

/** Ends a process as a terminal does, and returns what it printed. */
async function interrupt(running: Running, signal: NodeJS.Signals = 'SIGINT'): Promise<Finished> {
  running.kill(signal)
  return running.ended
}

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

  it.each(['node-http.ts', 'h3.ts'])('serves the queue beside a page of the application, as %s', async (file) => {
    const guide = await follow('start/node.md')
    await using server = guide.node(file)
    await expect
      .poll(() =>
        guide.fetch('http://localhost:3000/').then(
          (page) => page.text(),
          () => '',
        ),
      )
      .toBe('The shop')
    expect((await guide.fetch('http://localhost:3000/_queue/api/health')).status).toBe(200)
    expect((await interrupt(server, 'SIGTERM')).code).toBe(0)
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
    await using both = guide.start(exported, /--host 0\.0\.0\.0/)
    await both.until(/http:/)
    expect((await guide.run(exported, /enqueue hello/)).stdout).toContain('hello Ada')
    expect((await interrupt(both, 'SIGTERM')).code).toBe(0)
  })
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
