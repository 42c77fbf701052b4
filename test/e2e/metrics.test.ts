import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { join } from 'pathe'
import { afterAll, describe, expect, it } from 'vitest'
import { createKernel, type Kernel, type KernelConfig, type Preset } from '../../index.ts'
import metrics from '../../plugins/observability/metrics/index.ts'
import dev from '../../presets/dev.ts'
import prodPostgres from '../../presets/prod-postgres.ts'
import prodRedis from '../../presets/prod-redis.ts'
import { sharedPostgres } from '../services/postgres.ts'
import { parsePrometheus, type Sample } from '../services/prometheus-text.ts'
import { sharedRedis } from '../services/redis.ts'

/** Waits for values that are counted after a result is known. */
const PATIENT = { timeout: 30_000, interval: 10 }
const FOLDER = fileURLToPath(new URL('../../plugins/observability/metrics', import.meta.url))
const [redis, postgres] = await Promise.all([sharedRedis(), sharedPostgres()])
afterAll(() => Promise.all([redis.stop(), postgres.stop()]))

const PRESETS: [Preset, KernelConfig][] = [
  [dev, {}],
  [prodRedis, { redis: { url: redis.url, prefix: crypto.randomUUID(), checkServer: false } }],
  [prodPostgres, { postgres: { url: postgres.url, schema: `metrics_${process.pid}` } }],
]

function application(preset: Preset, config: KernelConfig = {}): Promise<Kernel> {
  const common = { registry: { dirs: [] }, setupTimeout: 120_000, metrics: { keep: 0 } }
  return createKernel({
    preset,
    plugins: [metrics],
    config: { ...common, ...config },
    reporter: { warn() {}, error() {} },
  })
}

function ask({ http }: Kernel, init: RequestInit = {}, address = '127.0.0.1'): Promise<Response> {
  return http.fetch(new Request('http://localhost/_queue/metrics', init), { address })
}

async function scrape(kernel: Kernel): Promise<Sample[]> {
  const response = await ask(kernel)
  expect(response.status).toBe(200)
  return parsePrometheus(await response.text())
}

/** Returns the value of the only series with a name and these labels. */
function valueOf(samples: readonly Sample[], name: string, labels: Record<string, string> = {}): number | undefined {
  const found = samples.filter(
    (one) => one.name === name && Object.entries(labels).every(([key, text]) => one.labels[key] === text),
  )
  expect(found.length).toBeLessThan(2)
  return found[0]?.value
}

describe.each(PRESETS.map(([preset, config]) => ({ name: preset.name, preset, config })))(
  'metrics on $name',
  ({ preset, config }) => {
    it('counts the activity of processes and the content of the store', async () => {
      const kernel = await application(preset, config)
      const [begun, open] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
      try {
        await kernel.registerWorker({
          id: 'mail',
          config: { queue: 'mail', attempts: 2, deadLetter: 'dead', concurrency: 3 },
          handler: async ({ data }) => {
            if (data === 'fail') throw new Error('no')
            if (data !== 'hold') return
            begun.resolve()
            await open.promise
          },
        })
        await kernel.registerWorker({
          id: 'begin',
          config: { queue: 'flow', flow: { name: 'f', role: 'entry' } },
          handler: () => {},
        })
        await kernel.start()
        await kernel.flow('f').result((await kernel.flow('f').start()).runId)
        await kernel.result(await kernel.enqueue('mail', 'once'))
        await kernel.result(await kernel.enqueue('mail', 'fail')).catch(() => {})
        await kernel.enqueueMany([
          { worker: 'mail', data: 'hold' },
          { worker: 'mail', data: 'late', options: { delay: 3_600_000 } },
        ])
        await begun.promise

        const on = { messaging_system: 'nuxt_queue', messaging_destination_name: 'mail' }
        const process = 'messaging_process_duration_seconds_count'
        const mail = { queue: 'mail' }
        const run = 'nuxt_queue_run_duration_seconds'
        let samples = await scrape(kernel)
        const counted = async (): Promise<Record<string, number | undefined>> => {
          samples = await scrape(kernel)
          return {
            sent: valueOf(samples, 'messaging_client_sent_messages_total', on),
            sending: valueOf(samples, 'messaging_client_operation_duration_seconds_count', on),
            consumed: valueOf(samples, 'messaging_client_consumed_messages_total', on),
            completed: valueOf(samples, process, { ...on, outcome: 'completed' }),
            retried: valueOf(samples, process, { ...on, outcome: 'retried' }),
            waited: valueOf(samples, 'nuxt_queue_job_wait_duration_seconds_count', mail),
            retries: valueOf(samples, 'nuxt_queue_job_retries_total', mail),
            letters: valueOf(samples, 'nuxt_queue_job_dead_letters_total', mail),
            busy: valueOf(samples, 'nuxt_queue_worker_slots', { ...mail, state: 'busy' }),
            runs: valueOf(samples, 'nuxt_queue_runs_active'),
            ended: valueOf(samples, `${run}_count`, { flow: '', status: 'completed' }),
            broken: valueOf(samples, `${run}_count`, { flow: '', status: 'failed' }),
            flows: valueOf(samples, `${run}_count`, { flow: 'f', status: 'completed' }),
            idle: valueOf(samples, 'nuxt_queue_worker_slots', { ...mail, state: 'idle' }),
            followers: valueOf(samples, 'nuxt_queue_stream_followers'),
            active: valueOf(samples, 'nuxt_queue_queue_jobs', { ...mail, state: 'active' }),
            delayed: valueOf(samples, 'nuxt_queue_queue_jobs', { ...mail, state: 'delayed' }),
            age: valueOf(samples, 'nuxt_queue_queue_oldest_job_age_seconds', mail),
            up: valueOf(samples, 'nuxt_queue_store_up'),
            uncounted: valueOf(samples, 'nuxt_queue_uncounted_queues'),
            failed: valueOf(samples, process, { ...on, outcome: 'failed' }),
            dead: valueOf(samples, 'nuxt_queue_queue_jobs', { queue: 'dead', state: 'waiting' }),
          }
        }
        // Activity is counted after it is stored, so handlers may be ahead of the counts.
        await expect.poll(counted, PATIENT).toEqual({
          ...{ sent: 4, sending: 4, consumed: 4, completed: 1, retried: 1, waited: 4, retries: 1, letters: 1 },
          ...{ busy: 1, idle: 2, followers: 0, active: 1, delayed: 1, age: 0, up: 1, uncounted: 0 },
          ...{ failed: 1, dead: 1, runs: 1, ended: 1, broken: 1, flows: 1 },
        })
        const appends = valueOf(samples, 'nuxt_queue_events_append_duration_seconds_count')
        expect(appends).toBeGreaterThan(4)
        expect(valueOf(samples, 'nuxt_queue_queue_oldest_job_age_seconds', { queue: 'dead' })).toBeGreaterThanOrEqual(0)
        expect(samples.filter(({ labels }) => Object.values(labels).some((text) => text.startsWith('_')))).toEqual([])

        open.resolve()
        const busy = { ...mail, state: 'busy' }
        await expect.poll(async () => valueOf(await scrape(kernel), 'nuxt_queue_worker_slots', busy), PATIENT).toBe(0)
      } finally {
        open.resolve()
        await kernel.close()
      }
    })
  },
)

describe('metrics', () => {
  it('is open to this machine in development, to its own token, and to callers that authorize accepts', async () => {
    const [WRITER, SCRAPER] = ['a-writer-of-enough-letters', 'a-scraper-of-enough-letters']
    const bearer = (token: string): RequestInit => ({ headers: { authorization: `Bearer ${token}` } })
    const statuses = async (http: KernelConfig['http'], inits: RequestInit[], address?: string): Promise<number[]> => {
      const kernel = await application(dev, { http })
      try {
        return await Promise.all(inits.map(async (init) => (await ask(kernel, init, address)).status))
      } finally {
        await kernel.close()
      }
    }
    const far = '203.0.113.7'
    expect(await statuses({ production: false }, [{}, { method: 'HEAD' }, { method: 'POST' }])).toEqual([200, 200, 405])
    expect(await statuses({ production: false }, [{}], far)).toEqual([403])
    expect(await statuses({ production: true }, [{}])).toEqual([404])
    const token = `${WRITER},metrics:${SCRAPER}`
    const sent = [{}, bearer('a-guess-of-enough-letters'), bearer(SCRAPER), bearer(WRITER)]
    expect(await statuses({ production: true, token }, sent, far)).toEqual([401, 401, 200, 200])
    const authorize = (_request: Request, { type }: { type: string }): boolean => type === 'metrics.read'
    expect(await statuses({ production: true, authorize }, [{}], far)).toEqual([200])
    expect(await statuses({ production: true, authorize: () => false }, [{}], far)).toEqual([403])

    const kernel = await application(dev, { http: { production: true, token } })
    try {
      const { headers } = await ask(kernel, bearer(SCRAPER), far)
      expect(headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
      const others = ['api/queues', 'api/jobs', 'metrics/more'].map(async (path) => {
        const request = new Request(`http://localhost/_queue/${path}`, bearer(SCRAPER))
        return (await kernel.http.fetch(request, { address: far })).status
      })
      expect(await Promise.all(others)).toEqual([403, 403, 404])
    } finally {
      await kernel.close()
    }
  })

  it('has a bounded number of queues, and escapes their names', async () => {
    const kernel = await application(dev)
    try {
      const names = ['a "quoted"\\ name', ...Array.from({ length: 209 }, (_, index) => `b${index}`)]
      for (const queue of names) await kernel.enqueue({ queue, name: 'none' }, 1)
      const samples = await scrape(kernel)
      const sent = samples.filter(({ name }) => name === 'messaging_client_sent_messages_total')
      expect(sent).toHaveLength(201)
      const of = (name: string) => valueOf(sent, sent[0]!.name, { messaging_destination_name: name })
      expect([of('_rest'), of(names[0]!)]).toEqual([10, 1])
      const queues = new Set(
        samples.flatMap(({ name, labels }) => (name === 'nuxt_queue_queue_jobs' ? labels.queue : [])),
      )
      expect([queues.size, queues.has(names[0])]).toEqual([200, true])
      expect(valueOf(samples, 'nuxt_queue_uncounted_queues')).toBe(10)
    } finally {
      await kernel.close()
    }
  })

  it('has a board and rules whose queries name metrics that exist', async () => {
    const kernel = await application(dev)
    try {
      const text = await (await ask(kernel)).text()
      const known = new Set([...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name))
      const board = JSON.parse(readFileSync(join(FOLDER, 'grafana.json'), 'utf8')) as {
        panels: { targets: { expr: string }[] }[]
      }
      const queries = board.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr))
      const rules = readFileSync(join(FOLDER, 'alerts.yml'), 'utf8')
      const named = [...queries, rules].flatMap(
        (query) => query.match(/\b(?:nuxt_queue|messaging)_\w+(?=[{\s)[])/g) ?? [],
      )
      const families = named.map((name) => name.replace(/_(?:bucket|count)$/, ''))
      expect(queries.length).toBeGreaterThan(10)
      expect(families.length).toBeGreaterThan(queries.length)
      const others = families.filter((name) => !known.has(name) && name !== 'messaging_destination_name')
      expect(others).toEqual([])
    } finally {
      await kernel.close()
    }
  })
})
