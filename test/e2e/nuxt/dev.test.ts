import { readdir, readFile } from 'node:fs/promises'
import { join } from 'pathe'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { inLongForm } from '../../services/long.ts'
import { sharedRedis } from '../../services/redis.ts'
import { cliJson } from '../cli-in-process.ts'
import { openSocket } from '../../unit/http/rig.ts'
import { until } from '../redis/rig.ts'
import { createApp, type App, type Env, type Server } from './app.ts'
import { CONFIGS, files, run, runAll, TIMEOUT, WHO } from './examples.ts'

const JOBS = 1000
const redis = await sharedRedis()
afterAll(() => redis.stop())

/**
 * Returns the version of its code and when it began. Jobs from `held` on run until they are handed over, so that some remain
 * however long a rebuild takes.
 */
const worker = (version: string, held = JOBS): string => `export const config = defineQueueConfig({ concurrency: 5 })
export default defineQueueWorker(async (job, ctx) => {
  if (Number(job.data) >= ${held}) await new Promise((_resolve, reject) => {
    ctx.signal.addEventListener('abort', () => reject(ctx.signal.reason))
  })
  const at = Date.now()
  await new Promise((resolve) => setTimeout(resolve, 10))
  return { version: '${version}', at }
})
`

/** The application without a configuration, and the files that are edited in it. */
const FILES = {
  ...files(CONFIGS.memory),
  'server/queues/versioned.ts': worker('one', JOBS / 2),
  'server/queues/cobra.py': cobra('one'),
  'server/queues/fails.ts': `export default defineQueueWorker(() => { throw new Error('on purpose') })\n`,
  'server/queues/held.ts': `export const config = defineQueueConfig({ queue: 'held' })
export default defineQueueWorker((_job, ctx) => new Promise((_resolve, reject) => {
  ctx.signal.addEventListener('abort', () => reject(ctx.signal.reason))
}))
`,
  'server/api/held.get.ts': `export default defineEventHandler(async () => {
  const [job] = await useQueue().port('queue').getJobs({ queue: 'held' })
  return { state: job?.state, result: job?.result }
})
`,
  'server/api/many.post.ts': `export default defineEventHandler(async () => {
  const jobs = Array.from({ length: ${JOBS} }, (_, index) => ({ worker: 'versioned', data: index }))
  return (await useQueue().enqueueMany(jobs)).length
})
`,
  'server/api/jobs.get.ts': `export default defineEventHandler(async () => {
  const jobs = await useQueue().port('queue').getJobs({ queue: 'versioned', limit: ${2 * JOBS} })
  return jobs.map(({ state, result, runId }) => ({ state, result, runId }))
})
`,
  'server/api/promote.post.ts': `export default defineEventHandler(async () => {
  return useQueue().port('queue').promote('versioned', 'kept')
})
`,
  'server/api/ends.get.ts': `export default defineEventHandler(async (event) => {
  const events = await useQueue().port('events').read(String(getQuery(event).id), { types: ['step.completed'] })
  return events.length
})
`,
  'server/api/run.post.ts': `export default defineEventHandler(async (event) => {
  const { worker, data = null, options } = await readBody(event)
  const job = await useQueue().enqueue(worker, data, options)
  return options ? job : { job, result: await useQueue().result(job, { timeout: 60_000 }), pid: process.pid }
})
`,
}

function cobra(version: string): string {
  return `from nuxt_queue import define_config, define_worker

config = define_config(queue="cobra")

@define_worker
def cobra(job, ctx):
    return "${version}"
`
}

const RELEASED = `export const config = defineQueueConfig({ queue: 'held' })
export default defineQueueWorker((job) => \`attempt \${job.attempt}\`)
`

/** Only in the long form: between two servers on Redis, jobs are handed over as in production. */
const REDIS: [name: string, env: Env] = [
  'redis',
  {
    NUXT_QUEUE_ADAPTER: 'redis',
    NUXT_QUEUE_REDIS_URL: redis.url,
    NUXT_QUEUE_REDIS_PREFIX: crypto.randomUUID(),
    NUXT_QUEUE_REDIS_CHECK_SERVER: 'false',
  },
]
const ADAPTERS: [name: string, env: Env][] = [['file', { NUXT_QUEUE_ADAPTER: 'file' }], ...inLongForm(REDIS)]

interface Done {
  state: string
  result?: { version: string; at: number }
  runId: string
}

async function json<T>(response: Promise<Response>): Promise<T> {
  return (await (await response).json()) as T
}

/** A request during the replacement of a server may fail, but it always receives a response. */
async function ask<T>(server: Server, path: string, body?: object): Promise<T | undefined> {
  const post = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
  try {
    const response = await fetch(new URL(path, server.url), body && post)
    return response.ok ? ((await response.json()) as T) : undefined
  } catch {
    return undefined
  }
}

const jobs = async (server: Server): Promise<Done[]> => (await ask<Done[]>(server, '/api/jobs')) ?? []
const completed = (all: readonly Done[]): Done[] => all.filter(({ state }) => state === 'completed')
const versionOf = async (server: Server, worker: string): Promise<unknown> =>
  (await ask<{ result: unknown }>(server, '/api/run', { worker }))?.result

/** All UUIDs in the files of a folder. */
async function identifiersIn(folder: string): Promise<Set<string>> {
  const files = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.mjs'))
  const texts = await Promise.all(files.map((name) => readFile(join(folder, name), 'utf8')))
  expect(texts.join()).toContain('fromEnvironment')
  return new Set(texts.join().match(/[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}/g))
}

/** Saves edits until the watcher notices one: it misses an edit that is followed by another before it checks. */
async function save(app: App, edits: Readonly<Record<string, string>>, noticed: () => Promise<boolean> | boolean) {
  let lost = true
  while (lost) {
    for (const [path, content] of Object.entries(edits)) await app.write(path, content)
    const end = Date.now() + 20_000
    lost = (await until(async () => ((await noticed()) && 'noticed') || (Date.now() > end && 'lost'))) === 'lost'
  }
}

/** Whether the process exists, or any process of its group for a negative id. */
function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/** Edits a worker while its jobs run. */
async function editUnderLoad(app: App, server: Server): Promise<void> {
  const held = (): Promise<{ state?: string } | undefined> => ask(server, '/api/held')
  await server.post('/api/run', { worker: 'held', options: {} })
  expect(await json(server.post('/api/many'))).toBe(JOBS)
  await until(async () => completed(await jobs(server)).length >= 50)
  await until(async () => (await held())?.state === 'active')
  const rebuilt = server.prints(/Nitro server built in/)
  await app.write('server/queues/held.ts', RELEASED)
  await app.write('server/queues/versioned.ts', worker('two'))
  await rebuilt
  const done = await until(async () => {
    const found = completed(await jobs(server))
    return found.length >= JOBS && found
  })
  expect(done).toHaveLength(JOBS)
  const at = (version: string): number[] =>
    done.filter(({ result }) => result!.version === version).map(({ result }) => result!.at)
  const [before, after] = [at('one'), at('two')]
  expect(before.length + after.length).toBe(JOBS)
  expect(before.length).toBeGreaterThanOrEqual(50)
  expect(after.length).toBeGreaterThan(0)
  expect(Math.max(...before)).toBeLessThanOrEqual(Math.min(...after))
  expect(await held()).toEqual({ state: 'completed', result: 'attempt 1' })
  const around = done.filter(({ result }) => Math.abs(result!.at - Math.max(...before)) < 50)
  const ends = await Promise.all(around.map(({ runId }) => json<number>(server.get(`/api/ends?id=${runId}`))))
  expect(ends).toEqual(around.map(() => 1))
}

const UNDER_LOAD = `of ${JOBS} queued jobs none is lost when their worker is edited, each is done by one version, later ones by the new, and one that runs is handed over`

describe('nuxt dev', () => {
  it.each(ADAPTERS)(
    `%s: ${UNDER_LOAD}`,
    async (_adapter, env) => {
      const app = await createApp('dev', FILES)
      const server = await app.dev(env)
      onTestFinished(() => server[Symbol.asyncDispose]())
      await editUnderLoad(app, server)
    },
    TIMEOUT,
  )
})

describe('nuxt dev in memory', () => {
  const endings: (() => unknown)[] = []
  let app: App
  let server: Server
  beforeAll(async () => {
    app = await createApp('dev', FILES, { onEnd: (callback) => void endings.unshift(callback) })
    await app.write('tmp/here', '')
    server = await app.dev({ ...WHO, TMPDIR: join(app.folder, 'tmp') })
  }, TIMEOUT)
  afterAll(async () => {
    for (const end of endings) await end()
  })

  it('runs jobs in all languages without a configuration', async () => {
    const { job } = await runAll(server)
    expect(await (await server.get(`/api/state?id=${job.runId}`)).json()).toEqual({ greeted: 'Ada' })
    expect(await run(server, 'layered')).toMatchObject({ result: 'from a layer' })
    expect(await app.typeErrors('.nuxt/tsconfig.server.json')).toBe('')
    expect(await app.typeErrors('.nuxt/tsconfig.app.json')).toBe('')
    const tab = await server.get('/_queue/ui/')
    expect(await tab.text()).toContain('<title>Queue</title>')
    expect(tab.headers.get('content-security-policy')).toContain("frame-ancestors 'self'")
  })

  it('prints running jobs and events, and responds to the command line', async () => {
    expect((await server.post('/api/run', { worker: 'fails' })).ok).toBe(false)
    const output = server.output()
    expect(output).toMatch(/workers \(.*hello.*\), storage memory, dashboard http:\/\/127\.0\.0\.1:\d+\/_queue\/ui\//)
    expect(output).toMatch(/✔ hello +completed in/)
    expect(output).toMatch(/✖ fails +failed.*on purpose\n.*server\/queues\/fails\.ts:1:/)
    const runs = (await cliJson(['runs', '--status', 'failed'], app.folder)) as { name: string }[]
    expect(runs.map(({ name }) => name)).toContain('fails')
  })

  it(`memory: ${UNDER_LOAD}`, () => editUnderLoad(app, server), TIMEOUT)

  it(
    'reloads workers that are edited, added or removed in any language, keeps jobs while the code does not compile, and leaves nothing behind',
    async () => {
      const own = async (): Promise<string[]> =>
        (await readdir(join(app.folder, 'tmp'))).filter((name) => name.startsWith('nuxt-queue-'))
      const says = (worker: string, text: string) => async (): Promise<boolean> =>
        (await versionOf(server, worker)) === text
      await using stream = await openSocket(`${server.url}/_queue/api/stream`)
      expect(await versionOf(server, 'cobra')).toBe('one')
      const api = `${server.url}/_queue/api/queues`
      for (const name of ['x-forwarded-for', 'forwarded', 'x-real-ip']) {
        expect((await fetch(api, { headers: { [name]: '127.0.0.1' } })).status).toBe(403)
      }
      expect((await fetch(api, { headers: { 'x-nuxt-queue-local': 'guessed' } })).status).toBe(200)
      // Vite serves the files of the project, including the built code, to everyone who reaches the server.
      for (const secret of await identifiersIn(join(app.folder, '.nuxt/dev'))) {
        const headers = { 'x-forwarded-for': '127.0.0.1', 'x-nuxt-queue-local': secret }
        expect((await fetch(api, { headers })).status).toBe(403)
      }
      await stream.until((frames) => frames.some(({ data }) => (data as { type?: string }).type === 'step.completed'))
      await save(app, { 'server/queues/cobra.py': cobra('two') }, says('cobra', 'two'))
      const later = (text: string): string => `export default defineQueueWorker(() => '${text}')\n`
      await save(app, { 'server/queues/added/later.ts': later('added') }, says('added/later', 'added'))

      const before = completed(await jobs(server)).length
      await until(() => ask(server, '/api/run', { worker: 'versioned', options: { id: 'kept', delay: 3_600_000 } }))
      const broken = 'export default defineQueueWorker(() => {'
      await save(app, { 'server/queues/versioned.ts': broken }, () => /ERROR/.test(server.output()))
      // Once the changed code of one worker runs, the other worker is repaired.
      const mended = {
        'server/queues/versioned.ts': worker('mended'),
        'server/queues/added/later.ts': later('changed'),
      }
      await save(app, mended, says('added/later', 'changed'))
      const done = await until(async () => {
        await ask(server, '/api/promote', {})
        const found = completed(await jobs(server))
        return found.length > before && found
      })
      expect(done.filter(({ result }) => result!.version === 'mended')).toHaveLength(1)

      const leftOut = /versioned\.\w+ (?:is skipped|cannot be loaded).*on purpose/s
      const throwing = `throw new Error('on purpose')\n`
      await save(app, { 'server/queues/versioned.ts': throwing }, () => leftOut.test(server.output()))
      await until(says('added/later', 'changed'))

      expect(await own()).toHaveLength(1)
      expect(await server.stop('SIGINT')).toBe(0)
      expect(await own()).toEqual([])
      await until(async () => !isThere(-server.pid))
    },
    TIMEOUT,
  )
})
