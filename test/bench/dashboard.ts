import type { Kernel } from 'nuxt-queue/kernel'
import { createKernel } from 'nuxt-queue'
import { prodPostgres, prodRedis } from 'nuxt-queue/presets'
import { sharedPostgres } from '../services/postgres.ts'
import { sharedRedis } from '../services/redis.ts'
import { quantile, round, type Bench } from './harness.ts'

/** Two thirds of the jobs have ended, one in a hundred of them has failed, and the others wait. */
const SMALL = 1000
const LARGE = 300_000
const RUNS = 40
const API = 'http://localhost/_queue/api/'

/** Fills a store with jobs of two queues. Every tenth has the tag `some`, every thousandth the tag `rare`. */
async function fill(kernel: Kernel, jobs: number): Promise<void> {
  const ends = Math.floor((jobs * 2) / 3)
  const done = Promise.withResolvers<void>()
  let left = ends
  const stop = kernel.port('queue').on('*', '*', (event) => {
    if ((event === 'completed' || event === 'failed') && --left === 0) done.resolve()
  })
  for (const id of ['mail', 'report']) {
    const handler = ({ data }: { data: unknown }): void => {
      if ((data as { n: number }).n % 100 === 7) throw new Error(`Mailbox ${(data as { n: number }).n} is full.`)
    }
    await kernel.registerWorker({ id, config: { queue: id, concurrency: 100 }, handler })
  }
  const enqueue = async (from: number, to: number): Promise<void> => {
    for (let n = from; n < to; n += 2000) {
      const items = Array.from({ length: Math.min(2000, to - n) }, (_, index) => {
        const number = n + index
        const tags = [...(number % 10 === 0 ? ['some'] : []), ...(number % 1000 === 0 ? ['rare'] : [])]
        const data = { n: number, customer: { id: number % 5000 }, text: 'x'.repeat(500) }
        return { worker: number % 3 === 0 ? 'report' : 'mail', data, options: tags.length > 0 ? { tags } : {} }
      })
      await kernel.enqueueMany(items)
    }
  }
  await enqueue(0, ends)
  await kernel.start()
  await done.promise
  stop()
  for (const queue of ['mail', 'report']) await kernel.port('queue').pause(queue)
  await enqueue(ends, jobs)
}

/** Returns the requests of the dashboard. `deep` starts far after the first page. */
async function requestsOf(kernel: Kernel): Promise<Record<string, string>> {
  let after: string | undefined
  for (let page = 0; page < 20; page++) after = (await kernel.findJobs({ limit: 1000, after })).next ?? after
  return {
    queues: 'queues',
    'jobs, first page': 'jobs?limit=50',
    'jobs, deep page': `jobs?limit=50${after === undefined ? '' : `&after=${after}`}`,
    'jobs of a queue': 'jobs?queue=mail&limit=50',
    waiting: 'jobs?state=waiting&limit=50',
    completed: 'jobs?state=completed&limit=50',
    failed: 'jobs?state=failed&limit=50',
    'a common tag': 'jobs?tag=some&limit=50',
    'a rare tag': 'jobs?tag=rare&state=completed&limit=50',
    'a name': 'jobs?name=report&limit=50',
    'text of an error': 'jobs?state=failed&error=is+full&limit=50',
    'a value in the data': 'jobs?data.customer.id=77&limit=20&examine=10000',
    'counts of a queue': 'jobs/count?queue=mail',
    'counts of a tag': 'jobs/count?tag=some',
    runs: 'runs?limit=50',
  }
}

async function measure(kernel: Kernel): Promise<Map<string, number>> {
  const times = new Map<string, number>()
  for (const [name, path] of Object.entries(await requestsOf(kernel))) {
    const samples: number[] = []
    for (let run = 0; run < RUNS; run++) {
      const began = performance.now()
      const response = await kernel.http.fetch(new Request(API + path), { trusted: true })
      await response.text()
      samples.push(performance.now() - began)
      if (response.status !== 200) throw new Error(`${path} has the status ${response.status}.`)
    }
    times.set(name, quantile(samples, 0.95))
  }
  return times
}

async function benchStore(name: string, open: (jobs: number) => Promise<Kernel>, bench: Bench): Promise<void> {
  const measured: Map<string, number>[] = []
  for (const jobs of [SMALL, bench.size(LARGE)]) {
    const kernel = await open(jobs)
    await fill(kernel, jobs)
    measured.push(await measure(kernel))
    await kernel.close({ timeout: 0 })
  }
  const [small, large] = measured
  for (const [request, ours] of large!) {
    const base = small!.get(request)!
    bench.emit({
      ...{ case: `${name}: ${request}`, unit: 'ms p95', ours: round(ours), base: round(base) },
      ...{ against: `${SMALL.toLocaleString('en')} jobs`, ratio: round(base / ours), runs: RUNS },
    })
  }
}

/** Routes of the dashboard on 1,000 and on 300,000 jobs: milliseconds, 95th percentile. */
export default async function benchDashboard(bench: Bench): Promise<void> {
  const keep = { age: 86_400_000, count: 1_000_000 }
  const common = {
    registry: { dirs: [] },
    http: { authorize: () => true },
    retention: { completed: keep, failed: keep, cancelled: keep },
  }
  const redis = await sharedRedis()
  try {
    const open = (jobs: number): Promise<Kernel> =>
      createKernel({ preset: prodRedis, config: { ...common, redis: { url: redis.url, prefix: `d${jobs}` } } })
    await benchStore('redis', open, bench)
  } finally {
    await redis.stop()
  }
  const postgres = await sharedPostgres()
  try {
    const open = (jobs: number): Promise<Kernel> =>
      createKernel({ preset: prodPostgres, config: { ...common, postgres: { url: postgres.url, schema: `d${jobs}` } } })
    await benchStore('postgres', open, bench)
  } finally {
    await postgres.stop()
  }
}
