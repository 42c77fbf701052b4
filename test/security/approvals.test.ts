import { expect, it } from 'vitest'
import { serve, type Answer } from '../unit/http/rig.ts'

const HTML = { accept: 'text/html,application/xhtml+xml' }
const EVIL = `<script>alert("1")</script>'&`
const config = { webhooks: { baseUrl: 'https://shop.example.com/_queue/' } }

/** A kernel whose workers wait for a request, each by the name of its wait. */
async function waiting(waits: Record<string, object>) {
  const tokens = new Map<string, string>()
  const workers = Object.entries(waits).map(([name, wait]) => [
    name,
    {
      config: {
        awaitBefore: { type: 'webhook', ...wait },
        onAwaitRegister: ({ url }: { url: string }) => void tokens.set(name, url.split('/').at(-1)!),
      },
      handler: (_job: unknown, ctx: { awaited?: unknown }) => ctx.awaited,
    },
  ])
  const rig = await serve({}, { config, workers: Object.fromEntries(workers) as never })
  const jobs = new Map<string, { queue: string; id: string }>()
  for (const name of Object.keys(waits)) jobs.set(name, await rig.kernel.enqueue(name))
  await rig.drain()
  return {
    ...rig,
    ask: (
      name: string,
      method: string,
      headers: Record<string, string> = {},
      query = '',
      body?: string,
    ): Promise<Answer> => rig.raw(`/_queue/wait/${tokens.get(name)}${query}`, { method, headers, body }),
    result: async (name: string) => {
      await rig.drain()
      return (await rig.kernel.port('queue').getJob(jobs.get(name)!.queue, jobs.get(name)!.id))?.result
    },
    [Symbol.asyncDispose]: () => rig.close(),
  }
}

it('is not given by opening its URL, but by the button of its page, once', async () => {
  await using app = await waiting({ plain: { timeout: 3_600_000 } })
  for (const headers of [{}, HTML, { ...HTML, 'sec-purpose': 'prefetch' }, { accept: '*/*' }]) {
    for (const method of ['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']) await app.ask('plain', method, headers)
  }
  expect(await app.result('plain')).toBeUndefined()
  const bare = await app.ask('plain', 'GET')
  expect(bare).toMatchObject({ status: 405, body: { error: { code: 'METHOD_UNKNOWN' } } })
  expect(bare.headers.get('allow')).toBe('GET, HEAD, POST')
  const page = await app.ask('plain', 'GET', HTML, '?decision=approve')
  expect(page.status).toBe(200)
  expect(page.body).toMatch(/<form method="post">.*Confirm/)
  expect(page.body).toContain('<dt>decision</dt><dd>approve</dd>')
  expect(page.body).toMatch(/Open until <time datetime="/)
  const form = { ...HTML, 'content-type': 'application/x-www-form-urlencoded' }
  const posted = await app.ask('plain', 'POST', form, '?decision=approve', '')
  expect(posted).toMatchObject({ status: 200, body: expect.stringContaining('Thank you') as string })
  expect(await app.result('plain')).toEqual({ payload: { decision: 'approve' }, timedOut: false })
  const again = await app.ask('plain', 'POST', form, '?decision=decline', '')
  expect(again).toMatchObject({ status: 409, body: expect.stringContaining('Already answered') as string })
  const looked = await app.ask('plain', 'GET', HTML)
  expect(looked).toMatchObject({ status: 409, body: expect.not.stringContaining('<form') as string })
  expect(await app.ask('plain', 'POST')).toMatchObject({ status: 409, body: { error: { code: 'WAIT_OVER' } } })
  expect(await app.raw('/_queue/wait/nobody', { headers: HTML })).toMatchObject({
    status: 404,
    body: expect.stringContaining('Not found') as string,
  })
})

it('is not accepted after its timeout', async () => {
  await using app = await waiting({ short: { timeout: 1000, timeoutAction: 'continue' } })
  await app.advance(1001)
  const late = await app.ask('short', 'POST', HTML)
  expect(late).toMatchObject({ status: 410, body: expect.stringContaining('No longer open') as string })
  expect(await app.ask('short', 'POST')).toMatchObject({ status: 410, body: { error: { code: 'WAIT_OVER' } } })
  expect(await app.ask('short', 'GET', HTML)).toMatchObject({ status: 410 })
  expect(await app.result('short')).toEqual({ timedOut: true })
})

it('is given by a GET only if its wait allows it, and never by a HEAD or a prefetch', async () => {
  await using app = await waiting({ byGet: { get: true } })
  await app.ask('byGet', 'HEAD', HTML)
  await app.ask('byGet', 'HEAD')
  await app.ask('byGet', 'GET', { ...HTML, 'sec-purpose': 'prefetch;prerender' })
  expect(await app.result('byGet')).toBeUndefined()
  expect(await app.ask('byGet', 'GET', {}, '?n=1')).toMatchObject({ status: 202, body: { status: 'accepted' } })
  expect(await app.result('byGet')).toEqual({ payload: { n: '1' }, timedOut: false })
})

it('is requested by a page that shows text as text, loads and runs nothing, and cannot be framed', async () => {
  const page = { title: `Pay ${EVIL}?`, text: EVIL, button: EVIL }
  await using app = await waiting({ evil: { page: () => page }, odd: { page: () => ({ titel: 'x' }) } })
  const query = `?${new URLSearchParams({ [EVIL]: EVIL }).toString()}`
  for (const method of ['GET', 'POST']) {
    const { body, headers } = await app.ask('evil', method, HTML, query)
    expect(body).not.toContain('<script')
    expect(body).toContain('&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&#39;&amp;')
    expect(headers.get('content-security-policy')).toMatch(
      /^default-src 'none'; style-src 'sha256-[\w+/=]+'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'$/,
    )
    expect(headers.get('cache-control')).toBe('no-store')
    expect(headers.get('referrer-policy')).toBe('no-referrer')
    expect(headers.get('x-content-type-options')).toBe('nosniff')
  }
  const failed = await app.kernel.port('queue').getJobs({ name: 'odd' })
  expect(failed[0]!.error).toMatchObject({ code: 'WAIT_INVALID' })
})
