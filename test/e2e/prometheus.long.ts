// `npm test` compares names only. Here a real Prometheus reads the metrics of the playground, where one is installed.
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { join } from 'pathe'
import { describe, expect, it } from 'vitest'
import { createKernel, type Kernel, type KernelConfig } from '../../index.ts'
import { seed } from '../../playground/dashboard/load.ts'
import { registerWorkers } from '../../playground/dashboard/workers.ts'
import metrics from '../../plugins/observability/metrics/index.ts'
import dev from '../../presets/dev.ts'
import { findBinary } from '../services/binaries.ts'
import { startService, type Service } from '../services/service.ts'

const FOLDER = fileURLToPath(new URL('../../plugins/observability/metrics', import.meta.url))
const [prometheus, promtool] = [findBinary('prometheus'), findBinary('promtool')]

interface Answer {
  data: { result: { value: [moment: number, value: string] }[] }
}

function startPrometheus(target: string): Promise<Service> {
  const scrape = [
    'scrape_configs:',
    '  - job_name: nuxt-queue',
    '    metrics_path: /_queue/metrics',
    `    static_configs: [{ targets: ['${target}'] }]`,
  ]
  return startService({
    name: 'prometheus',
    prepare(folder) {
      const rules = `rule_files: ['${join(FOLDER, 'alerts.yml')}']`
      const text = ['global: { scrape_interval: 500ms }', rules, ...scrape].join('\n')
      writeFileSync(join(folder, 'prometheus.yml'), `${text}\n`)
    },
    command: (folder, port) => ({
      file: prometheus!,
      args: [
        `--config.file=${join(folder, 'prometheus.yml')}`,
        `--storage.tsdb.path=${join(folder, 'data')}`,
        `--web.listen-address=127.0.0.1:${port}`,
      ],
    }),
    url: (port) => `http://127.0.0.1:${port}`,
    async ping(port) {
      const { ok, status } = await fetch(`http://127.0.0.1:${port}/-/ready`)
      if (!ok) throw new Error(`Prometheus responded with ${status}.`)
    },
  })
}

/** Returns the queries of the board by the title of their panel, as Grafana sends them. */
function queries(): [panel: string, query: string][] {
  const board = JSON.parse(readFileSync(join(FOLDER, 'grafana.json'), 'utf8')) as {
    panels: { title: string; targets: { expr: string }[] }[]
  }
  return board.panels.flatMap(({ title, targets }) =>
    targets.map(({ expr }): [string, string] => [
      title,
      expr.replaceAll('$queue', '.*').replaceAll('$__rate_interval', '1m'),
    ]),
  )
}

/** Adds work of every kind: mails that arrive, that need a second attempt and that fail permanently, and a run of a flow. */
async function load(kernel: Kernel): Promise<void> {
  const [to] = ['ada', 'flaky', 'bounce'].map((name) => `${name}@example.com`)
  await kernel.enqueueMany(
    [to!, 'flaky@example.com', 'bounce@example.com'].map((one) => ({
      worker: 'mail/send',
      data: { to: one, subject: 'News' },
    })),
  )
  await kernel.flow('signup').start({ name: 'Ada', email: to })
}

describe.skipIf(prometheus === undefined || promtool === undefined)('Prometheus', () => {
  it('reads the metrics of the playground without complaint, and has values for every query of the board', async () => {
    const config: KernelConfig = {
      registry: { dirs: [] },
      webhooks: { baseUrl: 'http://127.0.0.1/_queue/' },
      triggers: {
        restock: { type: 'manual', worker: 'media/resize' },
        payment: { type: 'webhook', path: 'payment', verify: 'none', worker: 'mail/send' },
      },
    }
    const kernel = await createKernel({ preset: dev, plugins: [metrics], config, reporter: { warn() {}, error() {} } })
    let service: Service | undefined
    try {
      await registerWorkers(kernel)
      await kernel.start()
      const { url } = await kernel.http.listen({ port: 0 })
      await seed(kernel)
      await kernel.schedule('photos', { every: 300, worker: 'media/resize', data: { photo: 'a.jpg', sizes: [320] } })
      service = await startPrometheus(new URL(url).host)
      const { url: server } = service

      const found = async (query: string): Promise<boolean> => {
        const response = await fetch(`${server}/api/v1/query`, { method: 'POST', body: new URLSearchParams({ query }) })
        if (!response.ok) throw new Error(`${query}: ${await response.text()}`)
        const { data } = (await response.json()) as Answer
        return data.result.some(({ value }) => Number.isFinite(Number(value[1])))
      }
      const missing = async (): Promise<string[]> => {
        await load(kernel)
        const all = await Promise.all(queries().map(async ([panel, query]) => ((await found(query)) ? [] : [panel])))
        return [...new Set(all.flat())]
      }
      await expect.poll(missing, { timeout: 180_000, interval: 500 }).toEqual([])

      const text = await (await fetch(`${url}/_queue/metrics`)).text()
      execFileSync(promtool!, ['check', 'metrics'], { input: text })
      execFileSync(promtool!, ['check', 'rules', join(FOLDER, 'alerts.yml')])
      const rules = (await (await fetch(`${server}/api/v1/rules`)).json()) as {
        data: { groups: { rules: { name: string; lastError?: string }[] }[] }
      }
      expect(rules.data.groups.flatMap((group) => group.rules).length).toBeGreaterThan(5)
      expect(rules.data.groups.flatMap((group) => group.rules).filter(({ lastError }) => lastError)).toEqual([])
    } finally {
      await service?.stop()
      await kernel.close({ timeout: 0 })
    }
  })
})
