import { createHmac } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { expect, it } from 'vitest'
import { createTestKernel } from '../../testing/index.ts'

const hook = { name: 'x', type: 'webhook', verify: 'none' } as const

it('webhooks read JSON of any case, and have no path or placeholder that means something else', async () => {
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

it('webhooks verify a compressed body as it came, and unpack it within a bound', async () => {
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
