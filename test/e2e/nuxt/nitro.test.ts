import { afterAll, describe, expect, it } from 'vitest'
import { readGuide } from '../../install/guide.ts'
import { sharedRedis } from '../../services/redis.ts'
import { COOKIE } from '../../security/targets.ts'
import { until } from '../redis/rig.ts'
import { createApp, type Server } from './app.ts'
import { standsAttacks } from './attacked.ts'
import { FILES } from './fixture.ts'
import { addedWarnings } from './warnings.ts'

const TIMEOUT = 480_000
const redis = await sharedRedis()
afterAll(() => redis.stop())

/** The worker and the route of the guide. */
const { 'nitro.config.ts': _config, ...guide } = (await readGuide('start/nitro.md', 'nitropack 2')).files
const GUIDE = Object.fromEntries(Object.entries(guide).map(([path, text]) => [`server/${path}`, text]))

const { 'app/app.vue': _page, 'server/api/typed.get.ts': _strict, ...SERVER } = FILES

const NITRO = {
  ...SERVER,
  ...GUIDE,
  'nitro.config.ts': `import { defineNitroConfig } from 'nitropack/config'

export default defineNitroConfig({
  srcDir: 'server',
  compatibilityDate: '2026-01-01',
  modules: ['nuxt-queue/nitro'],
  runtimeConfig: { public: { who: 'you' } },
  queue: { adapter: 'redis' },
})
`,
  'tsconfig.json': `{ "extends": "./.nitro/types/tsconfig.json", "compilerOptions": { "types": ["node"] } }`,
  'nuxt-queue.config.ts': `import { defineConfig, definePlugin } from 'nuxt-queue'

const signature = definePlugin({
  name: 'signature',
  setup(kernel) {
    kernel.hook('dispatch', async (dispatch, next) => {
      await next()
      if (dispatch.job.name === 'pid') dispatch.result = { pid: process.pid, signed: true }
    })
  },
})
export default defineConfig({
  plugins: [signature],
  http: {
    authorize: ({ headers }) =>
      headers.get('authorization') === 'Bearer secret' || headers.get('cookie') === '${COOKIE}',
  },
})
`,
  'server/queues/pid.ts': `import { once } from 'node:events'
export const config = defineQueueConfig({ queue: 'pid' })
export default defineQueueWorker(async (job) => {
  if (job.data === 'slow') await once(process, 'SIGTERM')
  return process.pid
})
`,
  'server/queues/fails.ts': `type Told = { text: string }
export const config = defineQueueConfig({ attempts: 1 })
export default defineQueueWorker((): Told => {
  throw new Error('on purpose')
})
`,
  'server/queues/echo.ts': `export default defineQueueWorker((job) => job.data)\n`,
  'server/api/enqueue.post.ts': `export default defineEventHandler(async (event) => {
  const { worker, data } = await readBody<{ worker: 'pid'; data: unknown }>(event)
  return useQueue().enqueue(worker, data)
})
`,
  'server/api/job.get.ts': `export default defineEventHandler(async (event) => {
  const { queue, id } = getQuery(event) as { queue: string; id: string }
  return (await useQueue().port('queue').getJob(queue, id)) ?? { state: 'unknown' }
})
`,
}

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
  return async () => (await (await server.get(`/api/job?queue=${queue!}&id=${id!}`)).json()) as JobView
}

const ended = (job: () => Promise<JobView>): Promise<JobView> =>
  until(async () => {
    const found = await job()
    return found.state === 'completed' && found
  })

describe('an application of Nitro without Nuxt', () => {
  it(
    'runs workers in a separate process with the plugins and functions of its config, withstands attacks, and shuts down gracefully',
    async () => {
      const app = await createApp('nitro', NITRO)
      expect(await addedWarnings(await app.build(), plainBuild)).toEqual([])
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
})
