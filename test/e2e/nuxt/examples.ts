import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'pathe'
import { expect } from 'vitest'
import type { App, Server } from './app.ts'
import { FILES } from './fixture.ts'

export const TIMEOUT = 480_000
export const WHO = { NUXT_PUBLIC_WHO: 'you' }

/** The configurations that the documentation shows, word for word. */
export const CONFIGS = {
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

export async function run(server: Server, worker: string): Promise<Ran> {
  const response = await server.post('/api/run', { worker, data: { name: 'Ada' } })
  expect(response.status, server.output()).toBe(200)
  return (await response.json()) as Ran
}

/** Runs a worker of each language. Returns the job of the first one. */
export async function runAll(server: Server): Promise<Ran> {
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

/** An application with this `nuxt.config.ts`. Layers below `layers/` are part of it without configuration. */
export function files(config: string): Record<string, string> {
  return {
    ...FILES,
    'nuxt.config.ts': config,
    'layers/base/nuxt.config.ts': `export default defineNuxtConfig({ runtimeConfig: { public: { who: '' } } })\n`,
    'layers/base/server/queues/layered.ts': `export default defineQueueWorker(() => 'from a layer')\n`,
  }
}

/** The same page in an application without the module. */
export const PLAIN = {
  'app/app.vue': FILES['app/app.vue'],
  'nuxt.config.ts': `export default defineNuxtConfig({})\n`,
  'server/api/run.get.ts': `export default defineEventHandler(() => 'plain')\n`,
}

/** The built application runs jobs in all languages, and keeps them over a restart. */
export async function checkBuilt(app: App, env: Readonly<Record<string, string>>): Promise<void> {
  const all = { ...WHO, NUXT_QUEUE_REDIS_CHECK_SERVER: 'false', ...env }
  const first = await app.start(all)
  const { job } = await runAll(first)
  expect(await run(first, 'layered')).toMatchObject({ result: 'from a layer' })
  expect((await first.get('/_queue/api/runs')).status).toBe(404)
  expect(await first.stop()).toBe(0)
  const second = await app.start(all)
  expect(await (await second.get(`/api/run?id=${job.runId}`)).json()).toMatchObject({ status: 'completed' })
  expect(await second.stop()).toBe(0)
}

/** All files that are sent to browsers. */
export async function clientCode(app: App): Promise<string> {
  const folder = join(app.folder, '.output/public/_nuxt')
  expect(existsSync(folder)).toBe(true)
  const names = (await readdir(folder)).filter((name) => name.endsWith('.js'))
  const texts = await Promise.all(names.map((name) => app.read(join('.output/public/_nuxt', name))))
  return texts.join('\n')
}
