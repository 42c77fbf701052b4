import { execFile } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { join } from 'pathe'
import { describe, expect, it } from 'vitest'
import { routes } from '../../../plugins/integrations/http/routes/index.ts'
import { COOKIE } from '../../security/targets.ts'
import { inLongForm } from '../../services/long.ts'
import { openSocket } from '../../unit/http/rig.ts'
import { createApp, type Server } from './app.ts'
import { standsAttacks } from './attacked.ts'

const TIMEOUT = 480_000
/** The number of connections, unless the limit of open files is lower. */
const IDLERS = 10_000
const SECRET = 'of the sender'
const JSON_TYPE = { 'content-type': 'application/json' }

const FILES = {
  'nuxt.config.ts': `export default defineNuxtConfig({
  modules: ['nuxt-queue'],
  app: { baseURL: '/base/' },
  queue: { adapter: 'file', http: { path: '/jobs/' }, tasks: true },
  runtimeConfig: { who: 'nobody' },
  nitro: { prerender: { routes: ['/about'] }, scheduledTasks: { '0 3 * * *': ['db:migrate'] } },
})
`,
  'modules/typed.ts': `import { defineNuxtModule } from 'nuxt/kit'
import type { NuxtConfig } from 'nuxt/schema'

const right: NuxtConfig['queue'] = { adapter: 'redis', worker: false, tasks: true }
// @ts-expect-error there is no such adapter
const wrong: NuxtConfig['queue'] = { adapter: 'floppy' }
// @ts-expect-error a plugin has no such option
const plugin: NuxtConfig['queue'] = { http: { tokn: 'secret' } }
export default defineNuxtModule({ setup: () => void [right, wrong, plugin] })
`,
  'nuxt-queue.config.ts': `import { defineConfig } from 'nuxt-queue'

const transform = () => ({ name: 'hook' })
const loggedIn = { authorize: (request: Request) => request.headers.get('cookie') === '${COOKIE}' }
export default defineConfig({
  http: process.env.OPEN === 'to-ada' ? loggedIn : process.env.OPEN
    ? { authorize: (request, { type }) => type !== 'workers.read' || /who=ada/.test(request.headers.get('cookie') ?? '') }
    : {},
  triggers: {
    push: { type: 'webhook', path: 'push', verify: { type: 'hmac', scheme: 'github', secret: process.env.SECRET ?? 'none' }, worker: 'hello', transform },
    paid: { type: 'webhook', path: 'paid', verify: { type: 'hmac', scheme: 'stripe', secret: process.env.SECRET ?? 'none' }, worker: 'hello', transform },
  },
})
`,
  'app/app.vue': `<template><NuxtPage /></template>\n`,
  'app/pages/about.vue': `<template><p>About</p></template>\n`,
  'app/pages/index.vue': `<script setup lang="ts">
const { status, progress, result } = useQueueStream(() => useRoute().query.run as string | undefined)
const shown: string = status.value
const client = useQueueClient()
const { data, error } = await useAsyncData('workers', () => client.request<{ workers: object[] }>('GET', 'workers'))
</script>
<template><p>{{ shown }} {{ progress?.value }} {{ result }} workers: {{ data?.workers.length ?? error?.message }}</p></template>
`,
  'server/queues/hello.ts': `import { z } from 'zod'

export const config = defineQueueConfig({ input: z.object({ name: z.string() }), output: z.string() })
export default defineQueueWorker<typeof config>((job) => \`hello \${job.data.name}\`)
`,
  'server/queues/echo.ts': `export default defineQueueWorker((job) => job.data)\n`,
  'lib/greeting.ts': `export const greet = (name: string) => \`good day \${name}\`\n`,
  'server/utils/double.ts': `export const double = (value: number) => value * 2\n`,
  'shared/utils/half.ts': `export const half = (value: number) => value / 2\n`,
  'server/queues/context.ts': `import { useRuntimeConfig as imported } from '#imports'
import { fromLayer } from '#layers/base/server/lib/from-layer'
import { greet } from '~~/lib/greeting'

export default defineQueueWorker(async () => {
  await useStorage('seen').setItem('number', double(half(21)))
  return [greet(useRuntimeConfig().who as string), imported().who, fromLayer, await useStorage('seen').getItem('number')]
})
`,
  'server/tasks/db/migrate.ts': `export default defineTask({
  meta: { description: 'Changes the tables' },
  run: ({ name, payload }) => ({ result: { name, payload, who: useRuntimeConfig().who } }),
})
`,
  'server/queues/broken.ts': `throw new Error('on purpose')\n`,
  'layers/base/nuxt.config.ts': `export default defineNuxtConfig({})\n`,
  'layers/base/server/queues/hello.ts': `export default defineQueueWorker(() => 'not this one')\n`,
  'layers/base/server/lib/from-layer.ts': `export const fromLayer = 'from a layer'\n`,
  'layers/base/server/queues/layered.ts': `export default defineQueueWorker(() => 'from a layer')\n`,
  'server/plugins/early.ts': `export default defineNitroPlugin(async () => {
  if (import.meta.prerender) return
  try {
    useQueue()
  } catch (error) {
    console.log(String(error))
  }
  const queue = await queueReady()
  console.log('The plugin has', queue.registry.get('hello')?.id)
  console.log('Schedules', JSON.stringify(queue.schedules().map(({ name, cron, worker }) => ({ name, cron, worker }))))
})
`,
  'server/api/run.post.ts': `export default defineEventHandler(async (event) => {
  const { worker, data } = await readBody<{ worker: 'hello'; data: { name: string } }>(event)
  const job = await useQueue().enqueue(worker, data)
  return { runId: job.runId, result: await useQueue().result(job, { timeout: 60_000 }) }
})
`,
}

interface Answer {
  status: number
  body: string
}

/** Sends a request exactly as written. Clients would normalize its path. */
async function send(server: Server, method: string, path: string, headers = {}, body = ''): Promise<Answer> {
  const { hostname, port } = new URL(server.url)
  const sent = request({ hostname, port, method, path, headers, agent: false }).end(body)
  const [response] = (await once(sent, 'response')) as [Parameters<typeof text>[0] & { statusCode: number }]
  return { status: response.statusCode, body: await text(response) }
}

const hmac = (content: string, secret = SECRET): string => createHmac('sha256', secret).update(content).digest('hex')

function push(server: Server, body: string, signature = hmac(body)): Promise<Answer> {
  const headers = { ...JSON_TYPE, 'x-hub-signature-256': `sha256=${signature}`, 'x-github-delivery': 'one' }
  return send(server, 'POST', '/base/jobs/triggers/push', headers, body)
}

function paid(server: Server, at: number): Promise<Answer> {
  const seconds = Math.floor(at / 1000)
  const headers = { ...JSON_TYPE, 'stripe-signature': `t=${seconds},v1=${hmac(`${seconds}.{}`)}` }
  return send(server, 'POST', '/base/jobs/triggers/paid', headers, '{}')
}

function run(server: Server, worker: string): Promise<Answer> {
  return send(server, 'POST', '/base/api/run', JSON_TYPE, JSON.stringify({ worker, data: { name: 'Ada' } }))
}

async function ran(server: Server, worker: string): Promise<unknown> {
  const { body } = await run(server, worker)
  return (JSON.parse(body) as { result: unknown }).result
}

/** The response says only that nothing was found, and the server continues. */
async function refusesStrangers(server: Server): Promise<void> {
  const paths = routes.map(({ method, path }) => [method, `/base/jobs/api/${path.replaceAll(/:\w+/g, 'x')}`] as const)
  const answers = await Promise.all(paths.map(([method, path]) => send(server, method, path, JSON_TYPE)))
  expect(answers.length).toBeGreaterThan(25)
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([404]))
  expect(new Set(answers.map(({ body }) => body)).size).toBe(1)
  for (const path of [
    '..%2f..%2fapi/queues',
    '../jobs/..%2fapi/queues',
    '%2e%2e/api',
    'api%2fqueues',
    'api/%',
    '//api',
  ]) {
    expect((await send(server, 'GET', `/base/jobs/${path}`)).status, path).toBe(404)
  }
  await expect(openSocket(`${server.url}/base/jobs/api/stream`)).rejects.toThrow('did not open')
}

async function provesWebhooks(server: Server): Promise<void> {
  expect(await push(server, '{}')).toEqual({ status: 202, body: '{"id":"one","deduplicated":false}' })
  expect(await push(server, '{}')).toEqual({ status: 202, body: '{"id":"one","deduplicated":true}' })
  expect((await push(server, '{"more":1}', hmac('{}'))).status).toBe(401)
  expect((await push(server, '{}', hmac('{}', 'of somebody'))).status).toBe(401)
  expect((await push(server, '{"a":')).status).toBe(400)
  expect((await push(server, JSON.stringify('x'.repeat(5000)))).status).toBe(413)
  expect((await paid(server, Date.now())).status).toBe(202)
  expect((await paid(server, Date.now() - 600_000)).status).toBe(401)
}

async function streams(server: Server): Promise<void> {
  const api = `${server.url}/base/jobs/api/`
  expect((await fetch(`${api}health`)).status).toBe(200)
  await using all = await openSocket(`${api}stream`)
  const started = all.until((frames) =>
    frames.some(({ data }) => (data as { type?: string }).type === 'step.completed'),
  )
  expect(await ran(server, 'hello')).toBe('hello Ada')
  const [first] = await started
  const { runId } = first!.data as { runId: string }
  await using one = await openSocket(`${api}runs/${runId}/stream`)
  expect(await one.ended()).toMatchObject([{ kind: 'event' }, { kind: 'event' }, { kind: 'end' }])
}

/** Idle connections do not block the responses of others. */
async function standsIdlers(server: Server): Promise<void> {
  const { stdout } = await promisify(execFile)('sh', ['-c', 'ulimit -n'])
  const many = Math.min(IDLERS, (Number(stdout) || Infinity) - 500)
  const { hostname, port } = new URL(server.url)
  const sockets: Socket[] = []
  while (sockets.length < many) {
    const more = Array.from({ length: Math.min(500, many - sockets.length) }, () => connect(Number(port), hostname))
    await Promise.all(more.map((socket) => once(socket, 'connect')))
    sockets.push(...more)
  }
  expect(await ran(server, 'hello')).toBe('hello Ada')
  expect((await fetch(`${server.url}/base/jobs/api/health`)).status).toBe(200)
  expect(sockets.filter(({ readyState }) => readyState === 'open')).toHaveLength(many)
  for (const socket of sockets) socket.destroy()
}

/** Requests of a page during rendering carry the identity of the visitor. */
async function rendersForSomebody(server: Server): Promise<void> {
  const page = async (headers: Record<string, string>) => (await send(server, 'GET', '/base/', headers)).body
  expect(await page({ cookie: 'who=ada' })).toMatch(/idle\s+workers: 5/)
  expect(await page({ cookie: 'who=eve' })).toContain('workers: This request may not do &quot;workers.read&quot; here.')
}

describe('the module in an application with a base URL, a custom path, a layer and a broken worker', () => {
  it(
    'is prerendered, typed, streams over WebSockets, verifies webhooks, and shows nothing to callers without permission',
    async () => {
      const app = await createApp('module', FILES)
      expect(await app.build()).not.toMatch(/ERROR|unhandled/)
      expect(existsSync(join(app.folder, '.output/public/about/index.html'))).toBe(true)
      for (const part of ['app', 'server', 'node']) expect(await app.typeErrors(`.nuxt/tsconfig.${part}.json`)).toBe('')

      const env = { SECRET, NUXT_QUEUE_FILE_PATH: join(app.folder, 'data') }
      const server = await app.start({ ...env, NUXT_WHO: 'Grace', NUXT_QUEUE_WEBHOOKS_MAX_BODY: '4000' })
      expect(server.output()).toMatch(/not started here yet.*await queueReady\(\)/)
      expect(server.output()).toMatch(/broken\.mjs is skipped: on purpose/)
      expect(await ran(server, 'hello')).toBe('hello Ada')
      expect(await ran(server, 'layered')).toBe('from a layer')
      expect(await ran(server, 'context')).toEqual(['good day Grace', 'Grace', 'from a layer', 21])
      const migrated = { name: 'db:migrate', payload: { name: 'Ada' }, who: 'Grace' }
      expect(await ran(server, 'tasks/db/migrate')).toEqual(migrated)
      expect(server.output()).toContain(
        'Schedules [{"name":"db:migrate","cron":"0 3 * * *","worker":"tasks/db/migrate"}]',
      )
      // A refusal in a route of the application is not a 500.
      expect((await run(server, 'nobody')).status).toBe(404)
      expect(server.output()).toContain('The plugin has hello')
      await refusesStrangers(server)
      await provesWebhooks(server)
      expect(await server.stop()).toBe(0)

      const open = await app.start({ ...env, OPEN: 'yes' })
      await streams(open)
      await rendersForSomebody(open)
      await standsIdlers(open)
      expect(await open.stop()).toBe(0)

      const closed = await app.start({ ...env, OPEN: 'to-ada' })
      await standsAttacks(closed, '/base/jobs')
      expect(await closed.stop()).toBe(0)

      const moved = await app.program('index.mjs', { ...env, NUXT_QUEUE_HTTP_PATH: '/elsewhere/' })
      expect(moved).toMatchObject({ code: 1, output: expect.stringMatching(/http\.path.*build again/) as string })
    },
    TIMEOUT,
  )

  it.each(inLongForm('static'))(
    'is built as %s pages, without a server',
    async (preset) => {
      const app = await createApp('module', FILES)
      expect(await app.build({ NITRO_PRESET: preset })).not.toMatch(/ERROR|unhandled/)
      expect(existsSync(join(app.folder, '.output/public/about/index.html'))).toBe(true)
      expect(existsSync(join(app.folder, '.output/server'))).toBe(false)
    },
    TIMEOUT,
  )
})
