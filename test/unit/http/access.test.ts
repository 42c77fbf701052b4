import type { KernelConfig } from 'nuxt-queue/kernel'
import { describe, expect, it } from 'vitest'
import { routes } from '../../../plugins/integrations/http/routes/index.ts'
import type { HttpAction } from '../../../plugins/integrations/http/index.ts'
import { serve } from './rig.ts'

const UNKNOWN = { status: 404, body: { code: 'ROUTE_UNKNOWN', detail: 'Nothing answers here.' } }
const FORBIDDEN = { status: 403, body: { code: 'REQUEST_FORBIDDEN' } }
const workers = { hello: () => 'hello' }

describe('in production', () => {
  it('only webhooks are served without authorize', async () => {
    await using rig = await serve({ production: true }, { workers })
    rig.kernel.webhooks.route('echo/', async () => Response.json('heard'))
    const unknown = await rig.ask('no/such/route')
    expect(unknown).toMatchObject(UNKNOWN)
    for (const { method, path } of routes) {
      const headers = { 'content-type': 'application/json' }
      const answer = await rig.ask(path.replaceAll(/:\w+/g, 'x'), { method, headers })
      expect({ path, status: answer.status, body: answer.body }).toEqual({ path, status: 404, body: unknown.body })
    }
    expect(await rig.ask('queues', { method: 'OPTIONS' })).toMatchObject(UNKNOWN)
    expect(await rig.raw('/_queue/echo/')).toMatchObject({ status: 200, body: 'heard' })
    expect(rig.reports).toMatchObject([{ level: 'warn', message: expect.stringContaining('http.authorize') as string }])
  })

  it('a WebSocket is rejected as well', async () => {
    await using rig = await serve({ production: true })
    const headers = { ...{ connection: 'Upgrade', upgrade: 'websocket' }, 'sec-websocket-version': '13' }
    const key = { 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==' }
    expect(await rig.raw('/_queue/api/runs/a/stream', { headers: { ...headers, ...key } })).toMatchObject(UNKNOWN)
  })

  it('authorize decides on each action, and receives its subject', async () => {
    const actions: HttpAction[] = []
    const authorize = (request: Request, action: HttpAction): boolean => {
      actions.push(action)
      return request.headers.get('authorization') === 'Bearer good'
    }
    await using rig = await serve({ production: true, authorize }, { workers })
    const headers = { authorization: 'Bearer good', 'content-type': 'application/json' }
    const body = JSON.stringify({ worker: 'hello' })
    expect(await rig.ask('jobs', { method: 'POST', headers, body })).toMatchObject({ status: 202 })
    expect(await rig.post('jobs', { worker: 'hello', data: 1, nonsense: true })).toMatchObject(FORBIDDEN)
    expect(await rig.post('events', { name: 'paid' })).toMatchObject(FORBIDDEN)
    expect(await rig.ask('runs/a%2Fb/state')).toMatchObject(FORBIDDEN)
    expect(await rig.post('jobs/a/b/retry')).toMatchObject(FORBIDDEN)
    expect(actions).toEqual([
      { type: 'jobs.enqueue', worker: 'hello', queue: 'default' },
      { type: 'jobs.enqueue', worker: 'hello', queue: 'default' },
      { type: 'events.send', event: 'paid' },
      { type: 'runs.read', runId: 'a/b' },
      { type: 'jobs.retry', queue: 'a', job: 'b' },
    ])
  })
})

describe('authorize', () => {
  it('that never settles times out, for requests and for entries of lists', async () => {
    const never = new Promise<boolean>(() => {})
    await using rig = await serve({ authorize: () => never, authorizeTimeout: 20 }, { workers })
    const late = {
      status: 503,
      body: { code: 'AUTHORIZE_TIMEOUT', detail: expect.stringContaining('20 ms') as string },
    }
    for (const path of ['queues', 'runs', 'stream']) expect(await rig.ask(path)).toMatchObject(late)
    expect(await rig.post('jobs', { worker: 'hello' })).toMatchObject(late)
    await using list = await serve(
      { authorize: (_: Request, { runId }: HttpAction) => runId === undefined || never, authorizeTimeout: 20 },
      { workers },
    )
    await list.kernel.enqueue('hello')
    await list.drain()
    expect(await list.ask('runs')).toMatchObject(late)
  })

  it('may answer with a response of its own', async () => {
    const headers = { 'www-authenticate': 'Bearer' }
    await using rig = await serve({ authorize: () => new Response('who are you?', { status: 401, headers }) })
    const { status, headers: given, body } = await rig.ask('queues')
    expect([status, given.get('www-authenticate'), body]).toEqual([401, 'Bearer', 'who are you?'])
  })

  it('that throws is reported as an error on the server, and its message is not sent', async () => {
    const authorize = async (): Promise<boolean> => {
      throw new Error('the secret database is down')
    }
    await using rig = await serve({ authorize })
    const { status, body } = await rig.ask('queues')
    expect({ status, body }).toMatchObject({ status: 500, body: { code: 'INTERNAL' } })
    expect(JSON.stringify(body)).not.toContain('secret')
    expect(rig.reports).toMatchObject([{ level: 'error', detail: { message: 'the secret database is down' } }])
  })

  it('hides rejected entries from lists', async () => {
    const refused = new Set<string | undefined>()
    const authorize = (_request: Request, { runId, queue }: HttpAction): boolean =>
      !refused.has(runId ?? '-') && !refused.has(queue ?? '-')
    await using rig = await serve(
      { authorize },
      { workers: { ...workers, other: { config: { queue: 'secret' }, handler: () => 1 } } },
    )
    const [seen, hidden] = [await rig.kernel.enqueue('hello'), await rig.kernel.enqueue('hello')]
    await rig.drain()
    refused.add(hidden.runId).add('secret')
    const runIds = (body: unknown, list: string): string[] =>
      (body as Record<string, { runId: string }[]>)[list]!.map(({ runId }) => runId)
    expect(runIds((await rig.ask('runs')).body, 'runs')).toEqual([seen.runId])
    expect(runIds((await rig.ask('jobs')).body, 'jobs')).toEqual([seen.runId])
    expect((await rig.ask('queues')).body).toMatchObject({ queues: [{ name: 'default' }] })
    expect(await rig.ask(`runs/${hidden.runId}`)).toMatchObject(FORBIDDEN)
  })
})

describe('in development', () => {
  it.each(['localhost:3000', '127.0.0.1', '[::1]:80', 'LOCALHOST', 'dev.box'])('%s is served', async (host) => {
    await using rig = await serve({ allowedHosts: ['dev.box'] })
    expect(await rig.raw('/_queue/api/queues', { headers: { host } })).toMatchObject({ status: 200 })
  })

  it.each(['evil.example', 'localhost.evil.example', '127.0.0.1.evil.example:80', '192.168.0.7'])(
    'a host that is called %s is not',
    async (host) => {
      await using rig = await serve()
      expect(await rig.raw('/_queue/api/queues', { headers: { host } })).toMatchObject(FORBIDDEN)
    },
  )

  const cross: [name: string, headers: Record<string, string>][] = [
    ['says that it is', { 'sec-fetch-site': 'cross-site' }],
    ['has another origin', { origin: 'https://evil.example' }],
    ['has another port', { origin: 'http://localhost:1', 'sec-fetch-site': 'same-site' }],
    ['is in a sandbox', { origin: 'null' }],
    ['sends a form', { origin: 'https://evil.example', 'content-type': 'application/json' }],
  ]
  it.each(cross)('a page of another site that %s is rejected', async (_name, headers) => {
    await using rig = await serve()
    const given = { host: 'localhost', ...headers }
    expect(await rig.raw('/_queue/api/queues', { headers: given })).toMatchObject(FORBIDDEN)
    expect(await rig.raw('/_queue/api/events', { method: 'POST', headers: given, body: '{"name":"a"}' })).toMatchObject(
      FORBIDDEN,
    )
  })

  it('pages of the same host are served, including behind a proxy that preserves the host name', async () => {
    await using rig = await serve()
    const own = { host: 'localhost:3000', origin: 'http://localhost:3000' }
    expect(await rig.raw('/_queue/api/queues', { headers: own })).toMatchObject({ status: 200 })
    await using behind = await serve({ authorize: () => true })
    const proxied = { 'x-forwarded-host': 'app.example', origin: 'https://app.example', host: '127.0.0.1:3000' }
    expect(await behind.raw('/_queue/api/queues', { headers: proxied })).toMatchObject({ status: 200 })
  })
})

describe('cors', () => {
  const http: KernelConfig['http'] = { cors: ['https://admin.example/'], authorize: () => true }
  const origin = 'https://admin.example'

  it('lets a listed origin send requests and read responses, including errors', async () => {
    await using rig = await serve(http)
    const preflight = await rig.ask('queues/a/pause', { method: 'OPTIONS', headers: { origin } })
    expect([preflight.status, preflight.headers.get('access-control-allow-methods')]).toEqual([204, 'POST'])
    for (const path of ['queues', 'runs/none']) {
      const { headers } = await rig.raw(`/_queue/api/${path}`, { headers: { origin, 'sec-fetch-site': 'cross-site' } })
      expect([headers.get('access-control-allow-origin'), headers.get('vary')]).toEqual([origin, 'Origin'])
    }
  })

  it('sends nothing to other origins', async () => {
    await using rig = await serve(http)
    const stranger = { headers: { origin: 'https://evil.example' } }
    const { status, headers } = await rig.raw('/_queue/api/queues', stranger)
    expect([status, headers.get('access-control-allow-origin')]).toEqual([403, null])
    expect(await rig.raw('/_queue/api/queues', { ...stranger, method: 'OPTIONS' })).toMatchObject(FORBIDDEN)
  })
})
