import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'pathe'
import { afterAll, describe, expect, it } from 'vitest'
import { sharedPostgres } from '../../services/postgres.ts'
import { sharedRedis } from '../../services/redis.ts'
import { createApp, type App, type Server } from './app.ts'
import { FILES } from './fixture.ts'
import { addedWarnings } from './warnings.ts'

const TIMEOUT = 480_000
const [redis, postgres] = await Promise.all([sharedRedis(), sharedPostgres()])
afterAll(async () => {
  await Promise.all([redis.stop(), postgres.stop()])
})

/** The configurations that the documentation shows, word for word. */
const CONFIGS = {
  memory: `export default defineNuxtConfig({
  modules: ['nuxt-queue']
  // Auto-uses memory adapter in dev
})
`,
  file: `export default defineNuxtConfig({
  modules: ['nuxt-queue'],
  queue: {
    adapter: 'file',
    file: {
      path: '.nuxt-queue'
    }
  }
})
`,
  redis: `export default defineNuxtConfig({
  modules: ['nuxt-queue'],
  queue: {
    adapter: 'redis',
    redis: {
      url: process.env.REDIS_URL
    }
  }
})
`,
  postgres: `export default defineNuxtConfig({
  modules: ['nuxt-queue'],
  queue: {
    adapter: 'postgres',
    postgres: {
      connectionString: process.env.DATABASE_URL
    }
  }
})
`,
}

interface Ran {
  job: { runId: string }
  result: unknown
  pid: number
}

async function run(server: Server, worker: string): Promise<Ran> {
  const response = await server.post('/api/run', { worker, data: { name: 'Ada' } })
  expect(response.status, server.output()).toBe(200)
  return (await response.json()) as Ran
}

/** Each language does its work. Answers what the first one left. */
async function runAll(server: Server): Promise<Ran> {
  const [hello, isolated, snake] = await Promise.all([
    run(server, 'hello'),
    run(server, 'apart/isolated'),
    run(server, 'snake'),
  ])
  expect(hello.result).toBe('hello Ada')
  expect(isolated.result).toMatchObject({ said: 'hello you' })
  expect((isolated.result as { pid: number }).pid).not.toBe(isolated.pid)
  expect(snake.result).toBe('HELLO ADA')
  return hello
}

/** What is printed when the page is built in an application that has not got the module. Built once. */
let plain: Promise<string> | undefined
function plainBuild(): Promise<string> {
  plain ??= createApp('plain', {
    'app/app.vue': FILES['app/app.vue'],
    'nuxt.config.ts': `export default defineNuxtConfig({})\n`,
    'server/api/run.get.ts': `export default defineEventHandler(() => 'plain')\n`,
  }).then((app) => app.build())
  return plain
}

const WHO = { NUXT_PUBLIC_WHO: 'you' }
async function builtApp(name: keyof typeof CONFIGS): Promise<{ app: App; output: string }> {
  const app = await createApp(name, files(CONFIGS[name]))
  return { app, output: await app.build() }
}

/** Layers below `layers/` are part of an application without a word in its config. */
function files(config: string): Record<string, string> {
  return {
    ...FILES,
    'nuxt.config.ts': config,
    'layers/base/nuxt.config.ts': `export default defineNuxtConfig({ runtimeConfig: { public: { who: '' } } })\n`,
    'layers/base/server/queues/layered.ts': `export default defineQueueWorker(() => 'from a layer')\n`,
  }
}

describe('the configurations of the documentation, in applications that installed the package', () => {
  it(
    'without any, in development: jobs run in all languages; in production it says what to set',
    async () => {
      const app = await createApp('memory', files(CONFIGS.memory))
      await using server = await app.dev(WHO)
      const { job } = await runAll(server)
      expect(await (await server.get(`/api/state?id=${job.runId}`)).json()).toEqual({ greeted: 'Ada' })
      expect(await run(server, 'layered')).toMatchObject({ result: 'from a layer' })
      expect(await app.typeErrors('.nuxt/tsconfig.server.json')).toBe('')
      const tab = await server.get('/_queue/devtools')
      expect(await tab.text()).toContain('<title>Queue</title>')
      await app.build()
      const { code, output } = await app.program('index.mjs')
      expect(code).toBe(1)
      expect(output).toContain('Set REDIS_URL or DATABASE_URL, or name a preset or an adapter in the configuration.')
    },
    TIMEOUT,
  )

  it.each([
    ['file', {}],
    ['redis', { REDIS_URL: redis.url }],
    ['postgres', { DATABASE_URL: postgres.url }],
  ] as const)(
    '%s: what is built runs jobs in all languages from anywhere, and they are there after a restart',
    async (name, store) => {
      const { app, output } = await builtApp(name)
      expect(addedWarnings(output, await plainBuild())).toEqual([])
      const env = { ...WHO, ...store, NUXT_QUEUE_REDIS_CHECK_SERVER: 'false', ...place(name, app) }
      const first = await app.start(env)
      const { job } = await runAll(first)
      expect(await run(first, 'layered')).toMatchObject({ result: 'from a layer' })
      expect((await first.get('/_queue/api/runs')).status).toBe(404)
      expect(await first.stop()).toBe(0)
      const second = await app.start(env)
      expect(await (await second.get(`/api/run?id=${job.runId}`)).json()).toMatchObject({ status: 'completed' })
      expect(await second.stop()).toBe(0)
      expect(await clientCode(app)).not.toContain('hello ')
    },
    TIMEOUT,
  )
})

/** The folder of `file` is relative to where the server is started, which is anywhere here. */
function place(name: string, app: App): Record<string, string> {
  return name === 'file' ? { NUXT_QUEUE_FILE_PATH: join(app.folder, '.nuxt-queue') } : {}
}

/** All that browsers are sent. */
async function clientCode(app: App): Promise<string> {
  const folder = join(app.folder, '.output/public/_nuxt')
  expect(existsSync(folder)).toBe(true)
  const names = (await readdir(folder)).filter((name) => name.endsWith('.js'))
  const texts = await Promise.all(names.map((name) => app.read(join('.output/public/_nuxt', name))))
  return texts.join('\n')
}
