import { readGuide } from '../../install/guide.ts'
import { COOKIE } from '../../security/targets.ts'
import { FILES } from './fixture.ts'

/** The worker and the route of the guide. */
const { 'nitro.config.ts': _config, ...guide } = (await readGuide('start/nitro.md', 'nitropack 2')).files
const GUIDE = Object.fromEntries(Object.entries(guide).map(([path, text]) => [`server/${path}`, text]))

const { 'app/app.vue': _page, 'server/api/typed.get.ts': _strict, ...SERVER } = FILES

export const SECRET = 'of the sender'

/** An application of Nitro without Nuxt, with other code that reads bodies and caches responses. */
export const NITRO = {
  ...SERVER,
  ...GUIDE,
  'nitro.config.ts': `import { defineNitroConfig } from 'nitropack/config'

export default defineNitroConfig({
  srcDir: 'server',
  compatibilityDate: '2026-01-01',
  modules: ['nuxt-queue/nitro'],
  runtimeConfig: { public: { who: 'you' } },
  queue: { adapter: 'redis' },
  routeRules: { '/**': { swr: 3600 } },
  prerender: { routes: process.env.NITRO_PRESET === 'static' ? ['/about'] : [] },
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
  http: process.env.OPEN ? { authorize: () => true, maxBody: 2000 } : {
    authorize: ({ headers }) =>
      headers.get('authorization') === 'Bearer secret' || headers.get('cookie') === '${COOKIE}',
  },
  triggers: {
    push: { type: 'webhook', path: 'push', verify: { type: 'hmac', scheme: 'github', secret: '${SECRET}' }, worker: 'said' },
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
  'server/api/job.post.ts': `export default defineEventHandler(async (event) => {
  const { queue, id } = await readBody<{ queue: string; id: string }>(event)
  return (await useQueue().port('queue').getJob(queue, id)) ?? { state: 'unknown' }
})
`,
  'server/queues/said.ts': `export default defineQueueWorker((job) => ({ said: job.data }))\n`,
  'server/routes/about.get.ts': `export default defineEventHandler(() => '<p>About</p>')\n`,
  'server/middleware/body.ts': `export default defineEventHandler(async (event) => {
  if (event.method === 'POST' && getHeader(event, 'x-read')) event.context.body = await readBody(event).catch(() => undefined)
})
`,
  'server/api/inside.post.ts': `export default defineEventHandler(async (event) => {
  const body = { worker: 'said', data: 'inside' }
  const direct = await $fetch<{ id: string }>('/_queue/api/jobs', { method: 'POST', body })
  const passed = await event.$fetch<{ id: string }>('/_queue/api/jobs', { method: 'POST', body })
  const { queues } = await $fetch<{ queues: unknown[] }>('/_queue/api/queues')
  const missing = await $fetch.raw('/_queue/api/runs/none', { ignoreResponseError: true })
  return { ids: [direct.id, passed.id], queues: queues.length, missing: missing.status }
})
`,
}
