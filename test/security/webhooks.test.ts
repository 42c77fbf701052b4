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
