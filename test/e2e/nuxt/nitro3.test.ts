import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { COOKIE } from '../../security/targets.ts'
import { readGuide } from '../../install/guide.ts'
import { inLongForm } from '../../services/long.ts'
import { sharedRedis } from '../../services/redis.ts'
import { openSocket } from '../../unit/http/rig.ts'
import { until } from '../redis/rig.ts'
import { createApp, type Env, type Server } from './app.ts'
import { standsAttacks } from './attacked.ts'
import { FILES } from './fixture.ts'

const TIMEOUT = 480_000
const redis = await sharedRedis()
afterAll(() => redis.stop())

/** The worker and the route of the guide. */
const { 'nitro.config.ts': _config, ...GUIDE } = (await readGuide('start/nitro.md', 'Nitro 3')).files

const greeting = (word: string): string => `export const greeting = (name: string): string => \`${word} \${name}\`\n`

/** Everything is below a path, and nothing is imported automatically. */
const APP = {
  'nitro.config.ts': `import { defineConfig } from 'nitro'

export default defineConfig({
  baseURL: '/shop/',
  serverDir: 'server',
  modules: ['nuxt-queue/nitro'],
  routeRules: { '/**': { swr: 60 } },
  runtimeConfig: { public: { who: 'you' } },
  queue: { adapter: 'redis', tasks: true },
})
`,
  'tsconfig.json': `{
  "extends": "nitro/tsconfig",
  "compilerOptions": { "types": ["node"] },
  "files": ["node_modules/.nitro/types/nuxt-queue.d.ts"],
  "include": ["*.ts", "server", "lib"]
}
`,
  'lib/greeting.ts': greeting('hello'),
  'server/queues/hello.ts': `import { defineWorkerConfig, defineQueueWorker } from 'nuxt-queue'
import { z } from 'zod'
import { greeting } from '../../lib/greeting'

export const config = defineWorkerConfig({ input: z.object({ name: z.string() }), output: z.string() })
export default defineQueueWorker<typeof config>((job) => greeting(job.data.name))
`,
  'server/queues/apart/isolated.ts': `import { useRuntimeConfig } from 'nitro/runtime-config'
import { defineWorkerConfig, defineQueueWorker } from 'nuxt-queue'
import { greeting } from '../../../lib/greeting'

export const config = defineWorkerConfig({ runtime: 'node-isolated' })
export default defineQueueWorker(() => {
  const { who } = useRuntimeConfig().public as { who: string }
  return { said: greeting(who), pid: process.pid }
})
`,
  'server/queues/snake.py': FILES['server/queues/snake.py'],
  'server/queues/_helper.py': FILES['server/queues/_helper.py'],
  'server/queues/echo.ts': `import { defineQueueWorker } from 'nuxt-queue'
export default defineQueueWorker((job) => job.data)
`,
  'server/tasks/db/migrate.ts': `import { useRuntimeConfig } from 'nitro/runtime-config'
import { defineTask } from 'nitro/task'

export default defineTask({
  meta: { description: 'Changes the tables' },
  run: ({ name, payload }) => ({ result: { name, payload, config: useRuntimeConfig().public } }),
})
`,
  'server/queues/slow.ts': `import { once } from 'node:events'
import { defineQueueWorker } from 'nuxt-queue'
export default defineQueueWorker(async () => {
  await once(process, 'SIGTERM')
  return process.pid
})
`,
  'server/api/enqueue.post.ts': `import { defineHandler } from 'nitro'
import { useQueue } from 'nuxt-queue/nitro/runtime'

export default defineHandler(async (event) => {
  const { worker, data } = (await event.req.json()) as { worker: 'echo'; data: unknown }
  return useQueue().enqueue(worker, data)
})
`,
  'server/api/job.post.ts': `import { defineHandler } from 'nitro'
import { useQueue } from 'nuxt-queue/nitro/runtime'

export default defineHandler(async (event) => {
  const { queue, id } = (await event.req.json()) as { queue: string; id: string }
  return (await useQueue().port('queue').getJob(queue, id)) ?? { state: 'unknown' }
})
`,
  'server/api/typed.post.ts': `import { defineHandler } from 'nitro'
import { useQueue } from 'nuxt-queue/nitro/runtime'

export default defineHandler(async () => {
  const queue = useQueue()
  const text: string = await queue.result(await queue.enqueue('hello', { name: 'Ada' }))
  // @ts-expect-error it takes a name
  await queue.enqueue('hello', { nom: 'Ada' })
  // @ts-expect-error there is no such worker
  await queue.enqueue('helo', { name: 'Ada' })
  return text
})
`,
}
const CLOSED = {
  'nuxt-queue.config.ts': `import { defineConfig } from 'nuxt-queue'

export default defineConfig({
  http: {
    authorize: ({ headers }: Request) =>
      headers.get('authorization') === 'Bearer secret' || headers.get('cookie') === '${COOKIE}',
  },
})
`,
}

interface JobView {
  state: string
  result?: unknown
}

async function json<T>(asking: Promise<Response>): Promise<T> {
  const response = await asking
  if (!response.ok) throw new Error(`The server responded with ${response.status}: ${await response.text()}`)
  return (await response.json()) as T
}

async function enqueue(server: Server, worker: string, data: unknown): Promise<() => Promise<JobView>> {
  const job = await json<object>(server.post('/shop/api/enqueue', { worker, data }))
  return () => json<JobView>(server.post('/shop/api/job', job))
}

/** Resolves with a job that has ended, or with an unknown one: jobs in memory are lost with their server. */
const ended = (job: () => Promise<JobView>): Promise<JobView> =>
  until(async () => {
    const found = await job()
    return /completed|failed|unknown/.test(found.state) && found
  })
const resultOf = async (server: Server, worker: string, data: unknown): Promise<unknown> =>
  (await ended(await enqueue(server, worker, data))).result
const isActive = async (job: () => Promise<JobView>): Promise<boolean> => (await job()).state === 'active'

const BUILDERS: Env[] = [{ NITRO_BUILDER: 'rolldown' }, ...inLongForm({ NITRO_BUILDER: 'rollup' })]

describe.each(BUILDERS)('an application of Nitro 3, built with $NITRO_BUILDER', (builder) => {
  it(
    'runs workers of all kinds in a separate process, serves streams and sockets, withstands attacks, and lets jobs end after a signal',
    async () => {
      const app = await createApp('nitro3', { ...APP, ...GUIDE, ...CLOSED }, { install: 'nitro3' })
      const edge = app.build({ ...builder, NITRO_PRESET: 'cloudflare-module' })
      await expect(edge).rejects.toThrow('The preset "cloudflare-module" does not run in Node')
      await app.build(builder)
      expect(await app.typeErrors('tsconfig.json')).toBe('')
      const store = { NUXT_QUEUE_REDIS_CHECK_SERVER: 'false', REDIS_URL: redis.url }
      const apart = { ...store, NUXT_QUEUE_REDIS_PREFIX: crypto.randomUUID(), NITRO_PUBLIC_WHO: 'us' }
      const web = await app.start({ ...apart, NUXT_QUEUE_WORKER: 'false' })
      const first = await enqueue(web, 'hello', { name: 'Ada' })
      expect(await first()).toMatchObject({ state: 'waiting' })

      const workers = app.workers(apart)
      expect(await ended(first), workers.output()).toMatchObject({ result: 'hello Ada' })
      expect(await resultOf(web, 'apart/isolated', {})).toEqual({ said: 'hello us', pid: expect.any(Number) as number })
      expect(await resultOf(web, 'snake', { name: 'Ada' })).toBe('HELLO ADA')
      expect(await (await web.post('/shop/api/hello', { name: 'Ada' })).text()).toBe('hello Ada')
      const migrated = { name: 'db:migrate', payload: { dry: true }, config: { who: 'us' } }
      expect(await resultOf(web, 'tasks/db/migrate', { dry: true })).toEqual(migrated)

      const slow = await enqueue(web, 'slow', {})
      await until(() => isActive(slow))
      expect(await workers.stop('SIGTERM'), workers.output()).toBe(0)
      expect(await slow()).toMatchObject({ state: 'completed', result: workers.pid })

      // The server of Nitro 3 only closes its connections, and its job ends as well.
      const both = await app.start(apart)
      const last = await enqueue(web, 'slow', {})
      await until(() => isActive(last))
      expect(await both.stop('SIGTERM'), both.output()).toBe(0)
      expect(await last(), both.output()).toMatchObject({ state: 'completed', result: both.pid })

      const headers = { authorization: 'Bearer secret' }
      expect((await web.get('/shop/_queue/api/queues')).status).toBe(403)
      const stream = await fetch(new URL('/shop/_queue/api/stream', web.url), { headers })
      expect(stream.headers.get('content-type')).toContain('text/event-stream')
      const text = stream.text()
      await expect(openSocket(`${web.url}/shop/_queue/api/stream`)).rejects.toThrow('did not open')
      for (const attack of inLongForm(standsAttacks)) await attack(web, '/shop/_queue')
      expect(await web.stop('SIGTERM'), web.output()).toBe(0)
      expect(await text).toContain('retry: 1000')
    },
    TIMEOUT,
  )
})

describe('nitro dev of Nitro 3', () => {
  it(
    'serves only this machine, and reloads workers that are edited, added or removed in any language',
    async () => {
      const app = await createApp('nitro3-dev', APP, { install: 'nitro3' })
      const server = await app.dev({ NUXT_QUEUE_ADAPTER: 'memory' })
      onTestFinished(() => server[Symbol.asyncDispose]())
      // A request that comes while the server is replaced fails.
      const says = (worker: string, data: unknown, expected: unknown): Promise<unknown> =>
        until(async () => {
          const result = await resultOf(server, worker, data).catch(() => undefined)
          return JSON.stringify(result) === JSON.stringify(expected)
        })
      await says('hello', { name: 'Ada' }, 'hello Ada')
      expect(await resultOf(server, 'apart/isolated', {})).toMatchObject({ said: 'hello you' })
      expect(await resultOf(server, 'snake', { name: 'Ada' })).toBe('HELLO ADA')

      const api = `${server.url}/shop/_queue/api/queues`
      expect((await fetch(api)).status).toBe(200)
      expect((await fetch(api, { headers: { 'x-forwarded-for': '127.0.0.1' } })).status).toBe(403)
      const guess = { 'x-forwarded-for': '127.0.0.1', 'x-nuxt-queue-local': 'guess' }
      expect((await fetch(api, { headers: guess })).status).toBe(403)
      expect((await server.get('/shop/_queue/ui/')).status).toBe(200)
      await using socket = await openSocket(`${server.url}/shop/_queue/api/stream`)
      await resultOf(server, 'hello', { name: 'Ada' })
      await socket.until((frames) => frames.some(({ data }) => (data as { type?: string }).type === 'step.completed'))

      await app.write('lib/greeting.ts', greeting('goodbye'))
      await says('hello', { name: 'Ada' }, 'goodbye Ada')
      expect(await resultOf(server, 'apart/isolated', {})).toMatchObject({ said: 'goodbye you' })
      await app.write('server/queues/_helper.py', FILES['server/queues/_helper.py'].replace('HELLO', 'BYE'))
      await says('snake', { name: 'Ada' }, 'BYE ADA')
      await app.write(
        'server/queues/added/later.ts',
        `import { defineQueueWorker } from 'nuxt-queue'\nexport default defineQueueWorker(() => 'added')\n`,
      )
      await says('added/later', {}, 'added')
      expect(await app.read('node_modules/.nitro/types/nuxt-queue.d.ts')).toContain('"added/later"')
    },
    TIMEOUT,
  )
})
