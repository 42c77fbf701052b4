import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { afterAll, describe, expect, it } from 'vitest'
import { createKernel, type Kernel, type KernelConfig, type Preset } from '../../index.ts'
import alerts, { type Alert, type AlertsConfig } from '../../plugins/observability/alerts/index.ts'
import prodPostgres from '../../presets/prod-postgres.ts'
import prodRedis from '../../presets/prod-redis.ts'
import { sharedPostgres } from '../services/postgres.ts'
import { sharedRedis } from '../services/redis.ts'

const PATIENT = { timeout: 30_000, interval: 20 }
const JOBS = 10
const [redis, postgres] = await Promise.all([sharedRedis(), sharedPostgres()])

const sent: Alert[] = []
const server = createServer((request, response) => {
  void buffer(request).then((body) => {
    sent.push((JSON.parse(String(body)) as { data: Alert }).data)
    response.writeHead(204).end()
  })
})
server.listen(0, '127.0.0.1')
await once(server, 'listening')
afterAll(async () => {
  server.close()
  await Promise.all([redis.stop(), postgres.stop()])
})

const STORES: [Preset, KernelConfig][] = [
  [prodRedis, { redis: { url: redis.url, prefix: crypto.randomUUID(), checkServer: false } }],
  [prodPostgres, { postgres: { url: postgres.url, schema: `alerts_${process.pid}` } }],
]

const byId = (all: readonly Alert[]): Alert[] => all.toSorted((a, b) => (a.id < b.id ? -1 : 1))

describe.each(STORES.map(([preset, config]) => ({ name: preset.name, preset, config })))(
  'alerts of two instances on $name',
  ({ preset, config }) => {
    it('are sent once, no matter in which processes jobs fail and checks run', async () => {
      const webhook = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
      const secret = `whsec_${Buffer.alloc(32, 1).toString('base64')}`
      const options: AlertsConfig = {
        ...{ to: [{ webhook, secret }], window: 300, interval: 100 },
        rules: { 'no-worker': { age: 0 }, 'error-group': false },
      }
      const start = async (): Promise<Kernel> => {
        const common = { registry: { dirs: [] }, setupTimeout: 120_000, alerts: options }
        const reporter = { warn() {}, error() {} }
        const kernel = await createKernel({ preset, plugins: [alerts], config: { ...common, ...config }, reporter })
        await kernel.registerWorker({
          id: 'mail',
          config: { queue: 'mail', concurrency: 2 },
          handler: () => Promise.reject(new Error('no')),
        })
        await kernel.start()
        return kernel
      }
      const kernels = await Promise.all([start(), start()])
      const [kernel] = kernels
      try {
        await kernel.enqueueMany(Array.from({ length: JOBS }, () => ({ worker: 'mail' })))
        await kernel.enqueue({ queue: 'nobody', name: 'nobody' })
        const open = async (): Promise<number> => {
          const { waiting, delayed, active } = await kernel.port('queue').getJobCounts('_alerts')
          return waiting + delayed + active
        }
        const rules = async (): Promise<string[]> => (await kernel.alerts()).map(({ rule }) => rule).toSorted()
        await expect.poll(rules, PATIENT).toEqual(['no-worker', 'worker-failed'])
        await expect.poll(open, PATIENT).toBe(0)
        const raised = await kernel.alerts()
        expect(await kernels[1].alerts()).toEqual(raised)
        expect(byId(sent.splice(0))).toEqual(byId(raised))
      } finally {
        await Promise.all(kernels.map((one) => one.close()))
      }
    })
  },
)
