import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it } from 'vitest'
import { remoteReason, isLoopback, recordPeer } from '../../plugins/integrations/lib/peer.ts'
import { createTestKernel } from '../../testing/index.ts'
import { openSocket, serve } from '../unit/http/rig.ts'

const FORBIDDEN = { status: 403, body: { code: 'REQUEST_FORBIDDEN' } }

describe('without authorize and token', () => {
  it.each([
    ['x-forwarded-for', '127.0.0.1'],
    ['forwarded', 'for=127.0.0.1;host=localhost'],
    ['x-real-ip', '127.0.0.1'],
    ['x-forwarded-host', 'localhost'],
    ['via', '1.1 proxy'],
    ['x-forwarded-server', 'proxy'],
    ['x-original-forwarded-for', '127.0.0.1'],
    ['fly-client-ip', '127.0.0.1'],
    ['cdn-loop', 'cloudflare'],
    ['cf-connecting-ip', '127.0.0.1'],
  ])('what a proxy passed on with %s is refused', async (name, value) => {
    await using rig = await serve()
    const headers = { host: 'localhost', [name]: value }
    expect(await rig.raw('/_queue/api/queues', { headers })).toMatchObject(FORBIDDEN)
  })

  it('a request without a socket is rejected, unless its host vouches for it', async () => {
    await using rig = await serve()
    const request = (): Request => new Request('http://localhost/_queue/api/queues')
    expect((await rig.kernel.http.fetch(request())).status).toBe(403)
    expect((await rig.kernel.http.fetch(request(), { address: '10.0.0.7' })).status).toBe(403)
    expect((await rig.kernel.http.fetch(request(), { address: '::ffff:127.0.0.1' })).status).toBe(200)
    expect((await rig.kernel.http.fetch(request(), { trusted: true })).status).toBe(200)
  })

  it.each(['0.0.0.0', '::', '192.168.0.7', 'box.example'])('nothing listens on %s', async (host) => {
    await using rig = await serve()
    await expect(rig.kernel.http.listen({ host })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('http.token') as string,
    })
  })

  it('a WebSocket that a proxy forwarded is rejected', async () => {
    await using test = await createTestKernel()
    const { kernel } = test
    const server = createServer().on('upgrade', (request, socket, head) => {
      request.headers['x-forwarded-for'] = '10.0.0.7'
      kernel.http.upgrade(request, socket, head)
    })
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
    const { port } = server.address() as AddressInfo
    await expect(openSocket(`http://127.0.0.1:${port}/_queue/api/stream`)).rejects.toThrow('did not open')
    server.close()
  })

  it('a WebSocket of this machine opens', async () => {
    await using rig = await serve()
    await using socket = await openSocket(`${rig.api}stream`)
    expect(socket.frames).toEqual([])
  })
})

describe('an address', () => {
  it.each(['127.0.0.1', '127.8.9.1', '::1', '[::1]', 'localhost', '::ffff:127.0.0.1'])('%s is local', (address) => {
    expect(isLoopback(address)).toBe(true)
  })
  it.each(['0.0.0.0', '::', '10.0.0.1', '128.0.0.1', '127.0.0.1.evil.example', '::ffff:10.0.0.1', '', '1127.0.0.1'])(
    '%s is not',
    (address) => {
      expect(isLoopback(address)).toBe(false)
      const request = new Request('http://localhost/')
      recordPeer(request, { address })
      expect(remoteReason(request)).toContain(address)
    },
  )
})
