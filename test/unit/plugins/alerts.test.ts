import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { afterAll, expect, it } from 'vitest'
import { definePlugin, endKey, QueueError, type Job, type KernelConfig } from '../../../kernel/index.ts'
import alerts, { type Alert, type AlertsConfig } from '../../../plugins/observability/alerts/index.ts'
import { queueFilter } from '../../../plugins/observability/alerts/options.ts'
import { slackMessage } from '../../../plugins/observability/alerts/slack.ts'
import { createTestKernel, type TestKernel, type TestKernelOptions } from '../../../testing/index.ts'
import { errorOf } from '../../../testing/conformance/harness.ts'

const KEY = Buffer.alloc(32, 7)
const SECRET = `whsec_${KEY.toString('base64')}`

interface Received {
  path: string
  headers: IncomingHttpHeaders
  body: { type?: string; data?: Alert; text?: string }
  /** Whether the signature is that of Standard Webhooks, computed here. */
  signed: boolean
}

const received: Received[] = []
/** The statuses of the next responses. Then 204. */
const statuses: number[] = []
const server = createServer((request, response) => {
  void buffer(request).then((body) => {
    const { headers, url: path = '' } = request
    const [id, timestamp, signature] = ['id', 'timestamp', 'signature'].map((name) =>
      String(headers[`webhook-${name}`]),
    )
    const mac = createHmac('sha256', KEY).update(`${id}.${timestamp}.`).update(body).digest('base64')
    received.push({
      path,
      headers,
      body: JSON.parse(String(body)) as Received['body'],
      signed: signature === `v1,${mac}`,
    })
    const status = statuses.shift() ?? 204
    response.writeHead(status, status === 302 ? { location: '/elsewhere' } : {}).end()
  })
})
server.listen(0, '127.0.0.1')
await once(server, 'listening')
afterAll(() => void server.close())
const ORIGIN = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

function take(): Received[] {
  return received.splice(0)
}

async function rig(config: AlertsConfig, options: Omit<TestKernelOptions, 'config'> = {}): Promise<TestKernel> {
  const { plugins = [], ...rest } = options
  return createTestKernel({ ...rest, plugins: [alerts, ...plugins], config: { alerts: config } satisfies KernelConfig })
}

/** Moves time, and waits for the jobs that it makes due, which send to a real server. */
async function pass(test: TestKernel, time: Parameters<TestKernel['advance']>[0]): Promise<void> {
  await test.advance(time)
  await test.drain()
}

const ONLY = (rule: string, options: object | true = true): AlertsConfig['rules'] => ({
  ...{ 'worker-failed': false, 'error-group': false, backlog: false },
  ...{ 'dead-letters': false, 'no-worker': false, 'schedule-missed': false },
  [rule]: options,
})
const fail = (): never => {
  throw new Error('smtp://ada:hunter2@mail is down')
}

it('sends one signed alert for many failures, again until it is accepted, and none in the cool-down', async () => {
  const to = [{ webhook: `${ORIGIN}/hook`, secret: SECRET }]
  await using test = await rig({ to, rules: ONLY('worker-failed') }, { workers: { mail: fail, fine: () => 1 } })
  const { kernel } = test
  for (let n = 0; n < 5; n++) await kernel.enqueue('mail')
  await kernel.enqueue('fine')
  await test.drain()
  await pass(test, '10s')
  expect(take()).toEqual([])
  statuses.push(500, 302)
  for (const time of ['1s', '2s', '3s', '1m'] as const) await pass(test, time)
  const tries = take()
  expect(tries.map(({ path, signed }) => ({ path, signed }))).toEqual(
    Array.from({ length: 3 }, () => ({ path: '/hook', signed: true })),
  )
  const [id, ...others] = new Set(tries.map(({ headers }) => headers['webhook-id']))
  const stamps = tries.map(({ headers }) => Number(headers['webhook-timestamp']))
  expect(stamps[2]).toBeGreaterThan(stamps[0]!)
  expect(others).toEqual([])
  const [alert] = await kernel.alerts()
  expect(alert).toMatchObject({
    ...{ id, rule: 'worker-failed', count: 5, more: 0 },
    title: 'Worker "mail" failed 5 jobs permanently: Error: smtp://***@mail is down',
    items: [
      { key: 'mail', count: 5, facts: { worker: 'mail', queue: 'default', error: expect.any(String) as string } },
    ],
  })
  expect(tries[2]!.body).toEqual({
    type: 'alert.worker-failed',
    timestamp: new Date(alert!.at).toISOString(),
    data: alert,
  })

  await kernel.enqueue('mail')
  await test.drain()
  await pass(test, '30m')
  expect(take()).toEqual([])
  await pass(test, '30m')
  await kernel.enqueue('mail')
  await test.drain()
  await pass(test, '11s')
  expect(take()).toMatchObject([{ signed: true, body: { data: { count: 1 } } }])
  expect(await kernel.alerts()).toHaveLength(2)
  expect(test.reports).toEqual([])
})

it('raises the alert of a failure whose process died before it was noticed', async () => {
  const raised: Alert[] = []
  let deaths = 1
  const dies = definePlugin({
    name: 'dies',
    setup: (kernel) =>
      void kernel.hook('emit', ({ stream }, next) => {
        if (stream === '_alerts.noticed' && deaths-- > 0) throw new QueueError('STORE_UNAVAILABLE', 'gone')
        return next()
      }),
  })
  const options = { workers: { mail: fail }, plugins: [dies] }
  await using test = await rig({ onAlert: (alert) => void raised.push(alert), rules: ONLY('worker-failed') }, options)
  const job = await test.kernel.enqueue('mail')
  await test.drain()
  await pass(test, '30s')
  expect(deaths).toBe(-1)
  expect(raised).toMatchObject([{ rule: 'worker-failed', count: 1, items: [{ facts: { job: job.id } }] }])
  expect(await job.state()).toBe('failed')
})

it('creates neither an alert nor a dead letter for a failure after the job had completed elsewhere', async () => {
  const raised: Alert[] = []
  let append: ((runId: string, key: string) => Promise<unknown>) | undefined
  const elsewhere = definePlugin({
    name: 'elsewhere',
    setup(kernel) {
      append = async (runId, key) => kernel.emit(runId, [{ type: 'step.completed', key, data: {} }])
    },
  })
  const handler = async ({ id, runId }: Job): Promise<never> => {
    await append!(runId, endKey({ id, round: 0 }))
    throw new Error('late')
  }
  const options = { workers: { mail: { config: { deadLetter: 'dead' }, handler } }, plugins: [elsewhere] }
  await using test = await rig({ onAlert: (alert) => void raised.push(alert) }, options)
  const job = await test.kernel.enqueue('mail')
  await test.drain()
  await pass(test, '30s')
  expect(await job.state()).toBe('completed')
  expect(raised).toEqual([])
  expect(await test.kernel.port('queue').getJobs({ queue: 'dead' })).toEqual([])
})

it('reports waiting jobs, jobs without a worker, new errors and missed schedules, once for many alike', async () => {
  const raised: Alert[] = []
  const only = (rule: string): Alert[] => raised.splice(0).filter((alert) => alert.rule === rule)
  const config: AlertsConfig = {
    onAlert: (alert) => void raised.push(alert),
    rules: { 'worker-failed': false, backlog: { queues: ['*', '!ignored'] } },
  }
  const workers = { pay: { config: { queue: 'pay', deadLetter: 'dead' }, handler: fail }, late: () => 1 }
  await using test = await rig(config, { workers })
  const { kernel } = test
  const queue = kernel.port('queue')

  await kernel.enqueue('pay')
  await test.drain()
  await pass(test, '1m')
  const [group] = await kernel.errors()
  expect(raised.splice(0).toSorted((a, b) => a.rule.localeCompare(b.rule))).toMatchObject([
    { rule: 'dead-letters', title: 'A job of queue "pay" became a dead letter in queue "dead".' },
    { rule: 'error-group', items: [{ key: group!.fingerprint, facts: { again: false, worker: 'pay' } }] },
  ])
  await kernel.setErrorStatus(group!.fingerprint, 'resolved')
  await kernel.enqueue('pay')
  await test.drain()
  await pass(test, '1m')
  expect(raised.splice(0)).toMatchObject([{ rule: 'error-group', items: [{ facts: { again: true } }] }])

  for (const name of ['pay', 'default', 'ignored']) await queue.pause(name)
  await kernel.enqueue('late')
  await kernel.enqueue('pay')
  for (const name of ['nobody', 'ignored']) await kernel.enqueue({ queue: name, name })
  await pass(test, '4m')
  expect(raised).toEqual([])
  await pass(test, '2m')
  const both = raised.splice(0).toSorted((a, b) => a.rule.localeCompare(b.rule))
  expect(both).toMatchObject([
    { rule: 'backlog', count: 2, title: '2 queues have jobs that have waited for too long.' },
    { rule: 'no-worker', count: 2 },
  ])
  const keys = both.map(({ items }) => items.map(({ key }) => key).toSorted())
  expect(keys).toEqual([
    ['default', 'pay'],
    ['ignored', 'nobody'],
  ])
  expect(both[0]!.items[0]!.facts).toMatchObject({ paused: true, waiting: 1 })
  await pass(test, '30m')
  expect(raised.splice(0)).toEqual([])

  await queue.resume('default')
  await kernel.schedule('often', { every: 600_000, worker: 'late' })
  await queue.pause('_schedule')
  await pass(test, '12m')
  const [missed] = only('schedule-missed')
  expect(missed).toMatchObject({ count: 1, items: [{ key: 'often' }] })
  await queue.resume('_schedule')
  await test.drain()
  await pass(test, '1m')
  expect(only('schedule-missed')).toEqual([])
})

it('gives up a destination that no longer exists, and never logs its address', async () => {
  const slack = `${ORIGIN}/services/T0/B0/topsecret`
  await using test = await rig(
    { to: [{ slack }], rules: ONLY('worker-failed', { queues: ['d*'] }) },
    { workers: { mail: fail } },
  )
  statuses.push(410)
  await test.kernel.enqueue('mail')
  await test.drain()
  await pass(test, '11s')
  await pass(test, '1h')
  expect(take().map(({ body }) => body.text)).toEqual([expect.stringContaining('Worker "mail" failed 1 job') as string])
  expect(test.reports).toMatchObject([{ level: 'error', message: expect.stringContaining('"slack"') as string }])
  const jobs = await test.kernel.port('queue').getJobs({ queue: '_alerts' })
  const events = await Promise.all(jobs.map(({ runId }) => test.events(runId)))
  expect(jobs.map(({ state }) => state).toSorted()).toEqual(['completed', 'failed'])
  expect(JSON.stringify([jobs, events, test.reports])).not.toContain('topsecret')
  expect(await test.kernel.alerts()).toHaveLength(1)
})

it('rejects invalid destinations without showing them', async () => {
  const refused = [
    { slack: 'ftp://example.com/topsecret' },
    { slack: 'https://ada:topsecret@example.com/' },
    { webhook: 'https://example.com/', secret: 'topsecret' },
    { webhook: 'https://example.com/' },
    { slack: 'https://example.com/', channel: 'x' },
  ]
  for (const one of refused) {
    const error = await errorOf(() => rig({ to: [one as never] }))
    expect(error?.code).toBe('CONFIG_INVALID')
    expect(error?.message).not.toContain('topsecret')
  }
  const rules = { backlog: { age: -1 } }
  expect((await errorOf(() => rig({ rules })))?.message).toContain('rules.backlog.age')
  const named = { name: 'ops', slack: 'https://example.com/' }
  expect((await errorOf(() => rig({ to: [named, named] })))?.message).toContain('"ops"')
})

it('shapes messages for Slack without markup of others, and matches names of queues', () => {
  const item = { key: 'q', count: 1, text: 'a <!channel> & b', facts: {} }
  const alert: Alert = { id: 'i', rule: 'backlog', at: 0, title: '<b>', count: 2, items: [item, item], more: 3 }
  const { text, blocks } = JSON.parse(String(slackMessage(alert))) as {
    text: string
    blocks: { text: { text: string } }[]
  }
  expect(text).toBe('&lt;b&gt;')
  expect(blocks[0]!.text.text.split('\n')).toEqual([
    '*&lt;b&gt;*',
    '• a &lt;!channel&gt; &amp; b',
    '• a &lt;!channel&gt; &amp; b',
    '… and 3 more',
  ])
  const matching = (patterns: string[] | undefined): string[] =>
    ['mail', 'import-1', 'import.x', 'dead'].filter(queueFilter(patterns))
  expect(matching(undefined)).toEqual(['mail', 'import-1', 'import.x', 'dead'])
  expect(matching(['import-*', 'mail'])).toEqual(['mail', 'import-1'])
  expect(matching(['!dead', '!import?x'])).toEqual(['mail', 'import-1', 'import.x'])
})
