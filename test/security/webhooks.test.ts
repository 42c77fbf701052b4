import { createHmac } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { expect, it } from 'vitest'
import { createTestKernel } from '../../testing/index.ts'

const hook = { name: 'x', type: 'webhook', verify: 'none' } as const

it('webhooks accept JSON types in any case, and reject ambiguous paths and placeholders', async () => {
  const ran: unknown[] = []
  await using test = await createTestKernel({ workers: { w: ({ data }) => void ran.push(data) } })
  const { kernel } = test
  await kernel.registerTrigger({ ...hook, name: 'plain', path: 'plain', worker: 'w' })
  const headers = { 'content-type': 'Application/JSON; charset=utf-8' }
  const request = new Request('https://example.com/_queue/triggers/plain', { method: 'POST', body: '{"n":1}', headers })
  expect((await kernel.webhooks.fetch(request)).status).toBe(202)
  await test.drain()
  expect(ran).toEqual([{ n: 1 }])
  for (const path of ['../x', '..', 'a/../b', 'a/.', './a', 'a/', '/a', 'a//b']) {
    await expect(kernel.registerTrigger({ ...hook, path }), path).rejects.toMatchObject({ code: 'TRIGGER_INVALID' })
  }
  for (const signed of ['{webhook-id}.{body}', '{id}.{body}', '{}{body}']) {
    const verify = { type: 'hmac', header: 'x-signature', secret: 'secret', signed } as const
    const broken = kernel.registerTrigger({ ...hook, path: 'signed', verify })
    await expect(broken, signed).rejects.toMatchObject({ code: 'TRIGGER_INVALID' })
  }
})

it('webhooks verify a compressed body unchanged, and decompress it within a bound', async () => {
  const ran: unknown[] = []
  await using test = await createTestKernel({ workers: { w: ({ data }) => void ran.push(data) } })
  const verify = { type: 'hmac', header: 'x-signature', secret: 'secret' } as const
  await test.kernel.registerTrigger({ ...hook, path: 'packed', verify, worker: 'w' })
  const post = async (body: Buffer<ArrayBuffer>): Promise<number> => {
    const signature = createHmac('sha256', 'secret').update(body).digest('hex')
    const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip', 'x-signature': signature }
    const url = 'https://example.com/_queue/triggers/packed'
    return (await test.kernel.webhooks.fetch(new Request(url, { method: 'POST', body, headers }))).status
  }
  expect(await post(gzipSync('{"n":2}'))).toBe(202)
  expect(await post(gzipSync(Buffer.alloc(2 * 1024 * 1024)))).toBe(413)
  expect(await post(Buffer.from('no gzip'))).toBe(400)
  await test.drain()
  expect(ran).toEqual([{ n: 2 }])
})

it('webhooks respond to verification requests of senders without starting anything', async () => {
  const ran: unknown[] = []
  await using test = await createTestKernel({ workers: { w: ({ data }) => void ran.push(data) } })
  const { kernel } = test
  const verify = { type: 'hmac', header: 'x-signature', secret: 'secret' } as const
  await kernel.registerTrigger({
    ...{ ...hook, name: 'slack', path: 'slack', verify, worker: 'w' },
    challenge: ({ body }) => {
      const { type, challenge } = body as { type: string; challenge: string }
      return type === 'url_verification' ? challenge : undefined
    },
  })
  await kernel.registerTrigger({
    ...{ ...hook, name: 'meta', path: 'meta', verify, worker: 'w' },
    challenge: ({ query }) => (query.get('hub.verify_token') === 'token' ? query.get('hub.challenge') : undefined),
  })
  const ask = (path: string, init?: RequestInit): Promise<Response> =>
    kernel.webhooks.fetch(new Request(`https://example.com/_queue/triggers/${path}`, init))
  const post = (body: object, secret = 'secret'): Promise<Response> => {
    const text = JSON.stringify(body)
    const signature = createHmac('sha256', secret).update(text).digest('hex')
    const headers = { 'content-type': 'application/json', 'x-signature': signature }
    return ask('slack', { method: 'POST', body: text, headers })
  }
  const proof = '<script>alert(1)</script>'
  const slack = await post({ type: 'url_verification', challenge: proof })
  expect([slack.status, await slack.text()]).toEqual([200, proof])
  expect(slack.headers.get('content-type')).toBe('text/plain; charset=utf-8')
  expect(slack.headers.get('x-content-type-options')).toBe('nosniff')
  expect((await post({ type: 'url_verification', challenge: proof }, 'of somebody')).status).toBe(401)
  expect((await post({ type: 'url_verification', challenge: 'x'.repeat(2000) })).status).toBe(400)
  const meta = await ask('meta?hub.mode=subscribe&hub.verify_token=token&hub.challenge=1158201444')
  expect([meta.status, await meta.text()]).toEqual([200, '1158201444'])
  expect((await ask('meta?hub.mode=subscribe&hub.verify_token=guessed&hub.challenge=1')).status).toBe(401)
  expect((await ask('slack')).status).toBe(400)
  await test.drain()
  expect(ran).toEqual([])
  expect((await post({ type: 'event_callback' })).status).toBe(202)
  await test.drain()
  expect(ran).toEqual([{ type: 'event_callback' }])
})
