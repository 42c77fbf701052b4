import { QueueError } from 'nuxt-queue/kernel'
import { describe, expect, it } from 'vitest'
import { createTestKernel } from '../../../testing/index.ts'

const ORIGIN = 'https://example.com'

/** A kernel whose route `echo/` returns what it received. */
async function echoing(webhooks?: object) {
  const test = await createTestKernel({ config: { webhooks } })
  const { kernel } = test
  kernel.webhooks.route('echo/', async (request, rest) => Response.json({ rest, body: await request.text() }))
  const ask = async (path: string, init?: RequestInit): Promise<{ status: number; body: unknown }> => {
    const response = await kernel.webhooks.fetch(new Request(ORIGIN + path, init))
    return { status: response.status, body: await response.json() }
  }
  return { test, kernel, ask, [Symbol.asyncDispose]: () => test.close() }
}

describe('routes', () => {
  it('receive the rest of the path and the body below their prefix, the longest prefix first', async () => {
    await using app = await echoing()
    app.kernel.webhooks.route('echo/more/', async () => Response.json('more'))
    const posted = await app.ask('/_queue/echo/a%20b/c?q=1', { method: 'POST', body: 'hi' })
    expect(posted).toEqual({ status: 200, body: { rest: 'a b/c', body: 'hi' } })
    expect((await app.ask('/_queue/echo/')).body).toEqual({ rest: '', body: '' })
    expect((await app.ask('/_queue/echo/more/x')).body).toBe('more')
  })

  it.each(['/', '/_queue/', '/_queue/echo', '/_queue/other/', '/elsewhere/echo/a', '/_queue/echo/../other'])(
    'leave %s unanswered',
    async (path) => {
      await using app = await echoing()
      expect(await app.ask(path)).toMatchObject({ status: 404, body: { error: { code: 'WEBHOOK_UNKNOWN' } } })
    },
  )

  it('reject a second handler of a prefix, and invalid prefixes', async () => {
    await using app = await echoing()
    const route = (prefix: string) => () => app.kernel.webhooks.route(prefix, async () => new Response())
    expect(route('echo/')).toThrow(/The webhook prefix "echo\/" already has a handler/)
    for (const prefix of ['', '/', '/echo/', 'other', 'a/../b/', 'a b/', 'a?b/']) {
      expect(route(prefix)).toThrow(expect.objectContaining({ code: 'WEBHOOK_INVALID' }))
    }
  })

  it('reject a path that is not encoded', async () => {
    await using app = await echoing()
    expect(await app.ask('/_queue/echo/%ff')).toMatchObject({
      status: 400,
      body: { error: { code: 'REQUEST_INVALID' } },
    })
  })
})

describe('baseUrl', () => {
  it('returns the URL of webhooks and the path that serves them', async () => {
    await using app = await echoing({ baseUrl: `${ORIGIN}/api/hooks` })
    expect(app.kernel.webhooks.url('echo/a')).toBe(`${ORIGIN}/api/hooks/echo/a`)
    expect(app.kernel.webhooks.url('/echo/a')).toBe(`${ORIGIN}/api/hooks/echo/a`)
    expect((await app.ask('/api/hooks/echo/a')).body).toMatchObject({ rest: 'a' })
    expect((await app.ask('/_queue/echo/a')).status).toBe(404)
  })

  it('and the path of a server are both served, so a proxy or a base URL may remove the beginning', async () => {
    await using app = await echoing({ baseUrl: `${ORIGIN}/shop/jobs/` })
    const at = async (path: string) => (await app.kernel.webhooks.fetch(new Request(ORIGIN + path), '/jobs/')).status
    expect([await at('/shop/jobs/echo/a'), await at('/jobs/echo/a'), await at('/_queue/echo/a')]).toEqual([
      200, 200, 404,
    ])
  })

  it('is required, and must be a URL', async () => {
    await using app = await echoing()
    expect(() => app.kernel.webhooks.url('echo/a')).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringContaining('Set webhooks.baseUrl') }),
    )
    await expect(echoing({ baseUrl: 'example.com' })).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
  })
})

describe('a body', () => {
  it('of the maximum size is accepted, and a larger one is rejected, with and without a content length', async () => {
    await using app = await echoing({ maxBody: 10 })
    const post = (body: string | ReadableStream, headers?: Record<string, string>) =>
      app.ask('/_queue/echo/', { method: 'POST', body, headers, duplex: 'half' })
    const stream = (size: number) => new Blob(['x'.repeat(size)]).stream()
    const large = { status: 413, body: { error: { code: 'PAYLOAD_TOO_LARGE' } } }
    expect((await post('x'.repeat(10))).body).toEqual({ rest: '', body: 'x'.repeat(10) })
    expect((await post(stream(10))).body).toEqual({ rest: '', body: 'x'.repeat(10) })
    expect(await post('x'.repeat(11))).toMatchObject(large)
    expect(await post(stream(11))).toMatchObject(large)
    expect(await post('announced', { 'content-length': '11' })).toMatchObject(large)
  })
})

describe('an error', () => {
  it('with a code becomes the response', async () => {
    await using app = await echoing()
    app.kernel.webhooks.route('limited/', async () => {
      throw new QueueError('RATE_LIMITED', 'Slow down.', { details: { retryAfter: 1200 } })
    })
    const response = await app.kernel.webhooks.fetch(new Request(`${ORIGIN}/_queue/limited/`))
    expect([response.status, response.headers.get('retry-after')]).toEqual([429, '2'])
    expect(await response.json()).toEqual({ error: { code: 'RATE_LIMITED', message: 'Slow down.' } })
  })

  it('of this package is reported and not sent', async () => {
    await using app = await echoing()
    app.kernel.webhooks.route('broken/', async () => {
      throw new Error('secret of the house')
    })
    const { status, body } = await app.ask('/_queue/broken/')
    expect([status, body]).toMatchObject([500, { error: { code: 'INTERNAL' } }])
    expect(JSON.stringify(body)).not.toContain('secret')
    expect(app.test.reports).toMatchObject([{ level: 'error', detail: { message: 'secret of the house' } }])
  })
})
