import { createHmac } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'pathe'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sharedRedis } from '../../services/redis.ts'
import { openSse } from '../../unit/http/rig.ts'
import { until } from '../redis/rig.ts'
import { createApp, type App, type Server } from './app.ts'
import { standsAttacks } from './attacked.ts'
import { NITRO, SECRET } from './nitro-app.ts'
import { addedWarnings } from './warnings.ts'

const TIMEOUT = 480_000
const redis = await sharedRedis()
const endings: (() => unknown)[] = [() => redis.stop()]
afterAll(async () => {
  for (const end of endings) await end()
})

/** The same application without the module. */
async function plainBuild(): Promise<string> {
  const plain = await createApp('plain', {
    'nitro.config.ts': `export default { srcDir: 'server', compatibilityDate: '2026-01-01' }\n`,
    'server/api/job.get.ts': `export default defineEventHandler(() => 'plain')\n`,
  })
  return plain.build()
}

interface JobView {
  state: string
  result?: { pid: number; signed: boolean }
  error?: { stack: string }
}

async function enqueue(server: Server, worker: string, data: unknown): Promise<() => Promise<JobView>> {
  const { queue, id } = (await (await server.post('/api/enqueue', { worker, data })).json()) as Record<string, string>
  return async () => (await (await server.post('/api/job', { queue, id })).json()) as JobView
}

const ended = (job: () => Promise<JobView>): Promise<JobView> =>
  until(async () => {
    const found = await job()
    return found.state === 'completed' && found
  })

const read = { 'x-read': 'yes' }

async function post(server: Server, path: string, body: string, headers: object = {}): Promise<[number, string]> {
  const sent = { 'content-type': 'application/json', ...headers }
  const response = await fetch(new URL(path, server.url), { method: 'POST', headers: sent, body })
  return [response.status, await response.text()]
}

describe('an application of Nitro without Nuxt', () => {
  let app: App
  let output = ''
  beforeAll(async () => {
    app = await createApp('nitro', NITRO, { onEnd: (callback) => void endings.unshift(callback) })
    output = await app.build()
  }, TIMEOUT)

  it(
    'runs workers in a separate process with the plugins and functions of its config, withstands attacks, and shuts down gracefully',
    async () => {
      expect(await addedWarnings(output, plainBuild)).toEqual([])
      expect(await app.typeErrors('tsconfig.json')).toBe('')
      const store = { NUXT_QUEUE_REDIS_CHECK_SERVER: 'false', REDIS_URL: redis.url, NITRO_PUBLIC_WHO: 'us' }
      const web = await app.start({ ...store, NUXT_QUEUE_WORKER: 'false' })
      const first = await enqueue(web, 'pid', 'quick')
      expect(await first()).toMatchObject({ state: 'waiting' })

      const workers = app.workers({ ...store, NODE_OPTIONS: '--enable-source-maps' })
      const { result } = await ended(first)
      expect(result).toEqual({ pid: workers.pid, signed: true })
      for (const [worker, expected] of [
        ['hello', 'hello Ada'],
        ['apart/isolated', { said: 'hello us', pid: expect.any(Number) as number }],
        ['snake', 'HELLO ADA'],
      ] as const) {
        expect((await ended(await enqueue(web, worker, { name: 'Ada' }))).result).toEqual(expected)
      }

      expect(await (await web.post('/api/hello', { name: 'Ada' })).text()).toBe('hello Ada')

      const fails = await enqueue(web, 'fails', {})
      const failed = await until(async () => ((await fails()).state === 'failed' ? fails() : undefined))
      expect(failed.error?.stack).toMatch(/server\/queues\/fails\.ts:4:9/)

      const slow = await enqueue(web, 'pid', 'slow')
      await until(async () => (await slow()).state === 'active')
      expect(await workers.stop('SIGTERM'), workers.output()).toBe(0)
      expect(await slow()).toMatchObject({ state: 'completed', result: { pid: workers.pid } })

      const api = new URL('/_queue/api/queues', web.url)
      expect((await fetch(api)).status).toBe(403)
      const headers = { authorization: 'Bearer secret' }
      expect(await (await fetch(api, { headers })).json()).toMatchObject({ queues: expect.any(Array) as unknown[] })
      const stream = await fetch(new URL('/_queue/api/stream', web.url), { headers })
      expect(stream.headers.get('content-type')).toContain('text/event-stream')
      const text = stream.text()
      await standsAttacks(web, '/_queue')
      expect(await web.stop('SIGTERM'), web.output()).toBe(0)
      expect(await text).toContain('retry: 1000')
    },
    TIMEOUT,
  )

  it(
    'serves the API and webhooks even if other code has read the body or caches responses, and serves requests of the application itself',
    async () => {
      const store = { NUXT_QUEUE_ADAPTER: 'file', NUXT_QUEUE_FILE_PATH: join(app.folder, 'data') }
      await using server = await app.start({ ...store, OPEN: 'yes' })
      const job = JSON.stringify({ worker: 'said', data: 'ünï' })
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
        const response = await fetch(new URL('/_queue/api/jobs?name=said', server.url))
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

  it(
    'is built as static pages, without a server',
    async () => {
      const app = await createApp('pages', NITRO)
      expect(await app.build({ NITRO_PRESET: 'static' })).not.toMatch(/ERROR|unhandled/)
      expect(existsSync(join(app.folder, '.output/public/about/index.html'))).toBe(true)
      expect(existsSync(join(app.folder, '.output/server'))).toBe(false)
    },
    TIMEOUT,
  )
})
