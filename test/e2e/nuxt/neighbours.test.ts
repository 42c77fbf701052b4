import { createHmac } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { openSse } from '../../unit/http/rig.ts'
import { createApp, type Server } from './app.ts'

const TIMEOUT = 480_000
const SECRET = 'of the sender'

const FILES = {
  'nitro.config.ts': `import { defineNitroConfig } from 'nitropack/config'

export default defineNitroConfig({
  srcDir: 'server',
  compatibilityDate: '2026-01-01',
  modules: ['nuxt-queue/nitro'],
  queue: { adapter: 'file' },
  routeRules: { '/**': { swr: 3600 } },
  prerender: { routes: process.env.NITRO_PRESET === 'static' ? ['/about'] : [] },
})
`,
  'tsconfig.json': `{ "extends": "./.nitro/types/tsconfig.json", "compilerOptions": { "types": ["node"] } }`,
  'nuxt-queue.config.ts': `import { defineConfig } from 'nuxt-queue'

export default defineConfig({
  http: { authorize: () => true, maxBody: 2000 },
  triggers: {
    push: { type: 'webhook', path: 'push', verify: { type: 'hmac', scheme: 'github', secret: '${SECRET}' }, worker: 'hello' },
  },
})
`,
  'server/queues/hello.ts': `export default defineQueueWorker((job) => ({ said: job.data }))\n`,
  'server/routes/about.get.ts': `export default defineEventHandler(() => '<p>About</p>')\n`,
  'server/middleware/body.ts': `export default defineEventHandler(async (event) => {
  if (event.method === 'POST' && getHeader(event, 'x-read')) event.context.body = await readBody(event).catch(() => undefined)
})
`,
  'server/api/inside.post.ts': `export default defineEventHandler(async (event) => {
  const body = { worker: 'hello', data: 'inside' }
  const direct = await $fetch<{ id: string }>('/_queue/api/jobs', { method: 'POST', body })
  const passed = await event.$fetch<{ id: string }>('/_queue/api/jobs', { method: 'POST', body })
  const { queues } = await $fetch<{ queues: unknown[] }>('/_queue/api/queues')
  const missing = await $fetch.raw('/_queue/api/runs/none', { ignoreResponseError: true })
  return { ids: [direct.id, passed.id], queues: queues.length, missing: missing.status }
})
`,
}

const read = { 'x-read': 'yes' }

async function post(server: Server, path: string, body: string, headers: object = {}): Promise<[number, string]> {
  const sent = { 'content-type': 'application/json', ...headers }
  const response = await fetch(new URL(path, server.url), { method: 'POST', headers: sent, body })
  return [response.status, await response.text()]
}

it(
  'is built as static pages, without a server',
  async () => {
    const app = await createApp('pages', FILES)
    expect(await app.build({ NITRO_PRESET: 'static' })).not.toMatch(/ERROR|unhandled/)
    expect(existsSync(join(app.folder, '.output/public/about/index.html'))).toBe(true)
    expect(existsSync(join(app.folder, '.output/server'))).toBe(false)
  },
  TIMEOUT,
)

it(
  'serves the API and webhooks even if other code has read the body or caches responses, and serves requests of the application itself',
  async () => {
    const app = await createApp('neighbours', FILES)
    await app.build()
    await using server = await app.start({ NUXT_QUEUE_FILE_PATH: join(app.folder, 'data') })
    const job = JSON.stringify({ worker: 'hello', data: 'ünï' })
    for (const headers of [{}, read]) {
      const [status, text] = await post(server, '/_queue/api/jobs', job, headers)
      expect(status, text).toBe(202)
      const { runId } = JSON.parse(text) as { runId: string }
      const result = await fetch(new URL(`/_queue/api/runs/${runId}/result?wait=30000`, server.url))
      expect(await result.json()).toMatchObject({ status: 'completed', result: { said: 'ünï' } })
      expect((await post(server, '/_queue/api/jobs', JSON.stringify({ worker: 'x'.repeat(5000) }), headers))[0]).toBe(
        413,
      )
      expect((await post(server, '/_queue/api/jobs', '{"worker":', headers))[0]).toBe(400)
      const signature = `sha256=${createHmac('sha256', SECRET).update(job).digest('hex')}`
      const signed = { ...headers, 'x-hub-signature-256': signature, 'x-github-delivery': JSON.stringify(headers) }
      expect((await post(server, '/_queue/triggers/push', job, signed))[0]).toBe(202)
      expect((await post(server, '/_queue/triggers/push', `${job} `, signed))[0]).toBe(401)
    }

    const [status, inside] = await post(server, '/api/inside', '{}')
    expect([status, JSON.parse(inside)]).toEqual([
      200,
      { ids: [expect.any(String), expect.any(String)], queues: expect.any(Number) as number, missing: 404 },
    ])

    const jobs = async (): Promise<number> => {
      const response = await fetch(new URL('/_queue/api/jobs?name=hello', server.url))
      expect(response.headers.get('cache-control')).toBe('no-store')
      return ((await response.json()) as { jobs: unknown[] }).jobs.length
    }
    const before = await jobs()
    const [, started] = await post(server, '/_queue/api/jobs', job)
    expect(await jobs()).toBe(before + 1)
    const { runId } = JSON.parse(started) as { runId: string }
    await using stream = await openSse(new URL(`/_queue/api/runs/${runId}/stream`, server.url).href)
    expect((await stream.ended()).map(({ kind }) => kind)).toContain('end')
  },
  TIMEOUT,
)
