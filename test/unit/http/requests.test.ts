import { describe, expect, it } from 'vitest'
import { serve } from './rig.ts'

const JSON_TYPE = { 'content-type': 'application/json' }
const workers = { 'ml/train': ({ data }: { data: unknown }) => data }

describe('paths', () => {
  it.each([
    '/_queue/api/../..%2f',
    '/_queue/api/..%2f..%2fetc%2fpasswd',
    '/_queue/api/%2e%2e/%2e%2e/',
    '/_queue/api/runs/../../../etc/passwd',
    '/_queue/api/runs//state',
    '/_queue/api//runs',
    '/_queue/api/runs/a/state/b',
    '/_queue/api/',
    '/_queue/api',
    '/_queue/apiary',
    '//_queue/api/runs',
    '/',
    '/_queue/api/constructor',
    '/_queue/api/runs/__proto__/__proto__',
  ])('%s leads nowhere', async (path) => {
    await using rig = await serve()
    expect((await rig.raw(path)).status).toBe(404)
    expect(rig.reports).toEqual([])
  })

  it.each(['/_queue/api/runs/%ff', '/_queue/api/runs/%zz', '/_queue/api/runs/%'])(
    '%s is rejected, because it is not encoded correctly',
    async (path) => {
      await using rig = await serve()
      expect(await rig.raw(path)).toMatchObject({ status: 400, body: { code: 'REQUEST_INVALID' } })
    },
  )

  it('carry any character in one segment', async () => {
    await using rig = await serve({}, { workers })
    const id = `a/b c?d#e%f&g;h:é☃/../%2F'"`
    expect(await rig.post('jobs', { worker: 'ml/train', data: 1, options: { id } })).toMatchObject({ status: 202 })
    await rig.drain()
    const job = await rig.ask(`jobs/default/${encodeURIComponent(id)}`)
    expect(job).toMatchObject({ status: 200, body: { id, state: 'completed', result: 1 } })
  })
})

describe('methods', () => {
  it('with another method are rejected with the methods of the path', async () => {
    await using rig = await serve()
    const { status, headers, body } = await rig.ask('queues/a/pause')
    expect([status, headers.get('allow'), body]).toEqual([
      405,
      'POST',
      expect.objectContaining({ code: 'METHOD_UNKNOWN' }),
    ])
    const other = await rig.ask('jobs', { method: 'PUT' })
    expect([other.status, other.headers.get('allow')]).toEqual([405, 'GET, HEAD, POST'])
  })

  it('HEAD is GET without a body, and opens no stream', async () => {
    await using rig = await serve()
    for (const path of ['queues', 'runs/none', 'stream', 'openapi.json']) {
      const [head, get] = [await rig.ask(path, { method: 'HEAD' }), path === 'stream' ? undefined : await rig.ask(path)]
      expect({ path, status: head.status, body: head.body }).toEqual({ path, status: get?.status ?? 200, body: '' })
    }
  })
})

describe('queries', () => {
  it.each([
    'runs?limit=0',
    'runs?limit=100000',
    'runs?limit=ten',
    'runs?status=lost',
    'runs?nonsense=1',
    'runs?after=%00',
    'runs?after=e30',
    'runs?limit=1&limit=2',
    'jobs?state=waiting,lost',
    'jobs?offset=-1',
    'runs/a/state?at=yesterday',
    'runs/a/state?at=1.5',
    'runs/a/events?until=2026-99-99',
    'runs/a/result?wait=soon',
    'runs/a/stream?after=-1',
    'runs/a/stream?after=soon',
    'stream?after=7',
    'queues/a?limit=1',
    'jobs?offset=9e15',
    'jobs?offset=100001',
    'jobs?limit=1e3&offset=0x10000000',
    'jobs?offset=0&tag=a',
    'jobs?after=none',
    'jobs?createdAfter=soon',
    'jobs?createdBefore=999999999999999',
    `jobs?tag=${'t'.repeat(600)}`,
    'jobs?datum=7',
    'jobs?data.=7',
    `jobs?${Array.from({ length: 11 }, (_, n) => `data.n${n}=1`).join('&')}`,
    'jobs/count?limit=1',
    'jobs/count?state=lost',
    `jobs?queue=${'q'.repeat(2_000)}`,
    `jobs?runId=%00`,
    `runs?tag=${'é'.repeat(1_000)}`,
    `runs?after=${'x'.repeat(5_000)}`,
    `runs?after=${Buffer.from('{"runId":"a","startedAt":1e300}').toString('base64url')}`,
    'runs/a/events?after=9e15',
    `runs/a/events?types=${'a,'.repeat(200)}a`,
    'runs/a/events?until=+010000-01-01',
    'runs/a/result?wait=1e300',
    'runs/a/timeline?depth=99',
    'runs/a/stream?after=99999999999',
    `runs/${'r'.repeat(3_000)}`,
    'jobs/a/%00',
  ])('%s is turned down', async (path) => {
    await using rig = await serve()
    expect((await rig.ask(path)).status).toBe(400)
    expect(rig.reports).toEqual([])
  })

  it.each([
    ['jobs', { worker: 'w'.repeat(600) }],
    ['jobs', { worker: 'ml/train', options: { id: 'é'.repeat(400) } }],
    ['jobs', { worker: 'ml/train', options: { attempts: 3e9 } }],
    ['jobs', { worker: 'ml/train', options: { delay: 1e300 } }],
    ['jobs', { worker: 'ml/train', options: { delay: '99999-01-01' } }],
    ['jobs', { worker: 'ml/train', options: { timeout: 1e15 } }],
    ['jobs', { worker: 'ml/train', options: { priority: 1e300 } }],
    ['jobs', { worker: 'ml/train', options: { concurrencyKey: '\0' } }],
    ['events', { name: '\ud800' }],
    ['events', { name: 'a', key: 'k'.repeat(600) }],
    ['flows/a', { tags: Array.from({ length: 101 }, String) }],
    ['flows/a', { tags: [''] }],
    ['runs/a/fork', { at: 1e300 }],
    ['runs/a/cancel', { reason: 'x'.repeat(10_001) }],
    ['queues/a/redrive', { limit: 1e10 }],
  ])('%s with %j is turned down', async (path, body) => {
    await using rig = await serve({}, { workers })
    expect(await rig.post(path, body)).toMatchObject({ status: 422, body: { code: 'VALIDATION_FAILED' } })
    expect(rig.reports).toEqual([])
  })

  it('find and count jobs by a filter, and page through them', async () => {
    await using rig = await serve({}, { workers })
    const options = { delay: 60_000, tags: ['a', 'b'] }
    for (let n = 0; n < 5; n++) await rig.post('jobs', { worker: 'ml/train', data: { n, to: { id: '7' } }, options })
    await rig.kernel.enqueue('ml/train', { n: 5 }, { delay: 60_000 })
    const seen: number[] = []
    let next: string | undefined
    do {
      const after = next === undefined ? '' : `&after=${next}`
      const page = (await rig.ask(`jobs?tag=b&state=delayed&data.to.id=7&limit=2${after}`)).body as {
        jobs: { data: { n: number }; tags: string[] }[]
        next?: string
      }
      seen.push(...page.jobs.map(({ data }) => data.n))
      for (const { tags } of page.jobs) expect(tags).toEqual(['a', 'b'])
      next = page.next
    } while (next !== undefined)
    expect(seen).toEqual(expect.arrayContaining([0, 1, 2, 3, 4]))
    expect(seen).toHaveLength(5)
    const none = { waiting: 0, active: 0, completed: 0, failed: 0, cancelled: 0 }
    const count = await rig.ask('jobs/count?tag=b&queue=default')
    expect(count.body).toEqual({ counts: { ...none, delayed: 5 }, truncated: false })
    const byOffset = await rig.ask('jobs?state=delayed&limit=5&offset=0')
    expect(byOffset.body).toMatchObject({ jobs: [{ data: { n: 0 } }, {}, {}, {}, {}], next: 5 })
  })

  it('page through runs without a gap', async () => {
    await using rig = await serve({}, { workers })
    for (let n = 0; n < 5; n++) await rig.kernel.enqueue('ml/train', n)
    await rig.drain()
    const found: string[] = []
    let next: string | undefined
    do {
      const { body } = await rig.ask(`runs?limit=2${next === undefined ? '' : `&after=${next}`}`)
      const page = body as { runs: { runId: string }[]; next?: string }
      found.push(...page.runs.map(({ runId }) => runId))
      next = page.next
    } while (next !== undefined)
    expect([found.length, new Set(found).size]).toEqual([5, 5])
  })
})

describe('bodies', () => {
  const path = '/_queue/api/events'
  const method = 'POST'

  it('that are too large are rejected with and without a content length', async () => {
    await using rig = await serve({ maxBody: 1000 })
    const body = Buffer.from(JSON.stringify({ name: 'a', payload: 'x'.repeat(2000) }))
    const refused = { status: 413, body: { code: 'PAYLOAD_TOO_LARGE' } }
    expect(
      await rig.raw(path, { method, headers: { ...JSON_TYPE, 'content-length': String(body.length) }, body }),
    ).toMatchObject(refused)
    async function* chunks(): AsyncGenerator<Buffer> {
      for (let at = 0; at < body.length; at += 500) yield body.subarray(at, at + 500)
    }
    expect(await rig.raw(path, { method, headers: JSON_TYPE, body: chunks() })).toMatchObject(refused)
    expect(await rig.post('events', { name: 'a' })).toMatchObject({ status: 202 })
  })

  it('of forms of other sites are rejected, although they are not declared as JSON', async () => {
    await using rig = await serve()
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'text/plain; application/json', undefined]) {
      const headers: Record<string, string> = type === undefined ? {} : { 'content-type': type }
      const answer = await rig.raw(path, { method, headers, body: '{"name":"a"}' })
      expect(answer).toMatchObject({ status: 415, body: { code: 'MEDIA_TYPE_UNKNOWN' } })
      expect(await rig.raw('/_queue/api/queues/a/pause', { method, headers })).toMatchObject({ status: 415 })
    }
    const headers = { 'content-type': 'Application/JSON; charset=utf-8' }
    expect(await rig.raw(path, { method, headers, body: '{"name":"a"}' })).toMatchObject({ status: 202 })
  })

  it.each([
    ['{"name":', 400, 'REQUEST_INVALID'],
    ['nonsense', 400, 'REQUEST_INVALID'],
    [Buffer.from([0xff, 0xfe, 0x22]), 400, 'REQUEST_INVALID'],
    ['[]', 422, 'VALIDATION_FAILED'],
    ['null', 422, 'VALIDATION_FAILED'],
    ['{}', 422, 'VALIDATION_FAILED'],
    ['', 422, 'VALIDATION_FAILED'],
    ['{"name":7}', 422, 'VALIDATION_FAILED'],
    ['{"name":"a","nonsense":1}', 422, 'VALIDATION_FAILED'],
  ])('%s is turned down', async (body, status, code) => {
    await using rig = await serve()
    expect(await rig.raw(path, { method, headers: JSON_TYPE, body })).toMatchObject({ status, body: { code, status } })
    expect(rig.reports).toEqual([])
  })
})

it('an invalid host is rejected, including for an upgrade', async () => {
  await using rig = await serve()
  expect((await rig.raw('/_queue/api/queues', { headers: { host: 'a b' } })).status).toBeGreaterThanOrEqual(400)
  const upgrade = { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13' }
  const headers = { ...upgrade, 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==' }
  for (const host of ['a b', 'evil.example']) {
    const answer = await rig.raw('/_queue/api/runs/a/stream', { headers: { ...headers, host } })
    expect(answer.status).toBe(host === 'a b' ? 400 : 403)
  }
  expect(await rig.raw('/elsewhere', { headers })).toMatchObject({ status: 404 })
  expect(await rig.raw('/_queue/api/queues', { headers })).toMatchObject({ status: 404 })
  expect(rig.reports).toEqual([])
})

describe('an impossible action', () => {
  it.each([
    ['jobs', { worker: 'nobody' }, 404, 'WORKER_UNKNOWN'],
    ['jobs', { worker: '_bus/deliver', data: {} }, 404, 'WORKER_UNKNOWN'],
    ['jobs', { worker: 'ml/train', options: { deadLetter: '_bus' } }, 422, 'VALIDATION_FAILED'],
    ['jobs', { worker: 'ml/train', options: { runId: 'mine' } }, 422, 'VALIDATION_FAILED'],
    ['jobs/default/none/retry', {}, 404, 'JOB_NOT_FOUND'],
    ['jobs/default/none/cancel', {}, 404, 'JOB_NOT_FOUND'],
    ['runs/none/cancel', {}, 404, 'RUN_NOT_FOUND'],
    ['runs/none/rerun', { step: 'a' }, 404, 'RUN_NOT_FOUND'],
    ['flows/none', {}, 404, 'FLOW_UNKNOWN'],
    ['triggers/none', {}, 404, 'TRIGGER_UNKNOWN'],
    ['waits/none', {}, 404, 'WAIT_UNKNOWN'],
  ])('%s with %j', async (path, body, status, code) => {
    await using rig = await serve({}, { workers })
    const docs = `nuxt-queue/docs/reference/errors.md#${code.toLowerCase()}`
    expect(await rig.post(path, body)).toMatchObject({ status, body: { status, code, type: 'about:blank', docs } })
    expect(rig.reports).toEqual([])
  })

  it('is rejected with 503 once the kernel is closed', async () => {
    const rig = await serve()
    await rig.close()
    const answer = await rig.kernel.http.fetch(new Request('http://localhost/_queue/api/queues'), { trusted: true })
    expect([answer.status, await answer.json()]).toEqual([503, expect.objectContaining({ code: 'KERNEL_CLOSED' })])
  })
})

describe('results', () => {
  it('wait for a run, and return how it ended', async () => {
    const gate = Promise.withResolvers<string>()
    await using rig = await serve(
      {},
      { workers: { slow: () => gate.promise, fails: () => Promise.reject(new Error('no luck')) } },
    )
    const job = (await rig.post('jobs', { worker: 'slow' })).body as { runId: string }
    const waiting = rig.ask(`runs/${job.runId}/result?wait=5000`)
    expect(await rig.ask(`runs/${job.runId}/result`)).toMatchObject({ status: 202, body: { status: 'running' } })
    gate.resolve('done')
    expect(await waiting).toMatchObject({ status: 200, body: { status: 'completed', result: 'done' } })
    const failed = (await rig.post('jobs', { worker: 'fails' })).body as { runId: string }
    const answer = await rig.ask(`runs/${failed.runId}/result?wait=5000`)
    expect(answer).toMatchObject({ status: 200, body: { status: 'failed', error: { message: 'no luck' } } })
  })

  it('and states are plain JSON', async () => {
    const value = { big: 12n, at: new Date(0), bytes: new Uint8Array([1, 2]), none: Number.NaN, gone: undefined }
    await using rig = await serve({}, { workers: { odd: () => value } })
    const { runId } = await rig.kernel.enqueue('odd')
    await rig.drain()
    const plain = { big: '12', at: '1970-01-01T00:00:00.000Z', bytes: 'AQI=', none: null }
    expect((await rig.ask(`runs/${runId}/result`)).body).toEqual({ status: 'completed', result: plain })
  })
})
