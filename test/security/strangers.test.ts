import { createConnection, type Socket } from 'node:net'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { createClientAddress, isNetwork } from '../../plugins/integrations/lib/client-address.ts'
import { recordPeer } from '../../plugins/integrations/lib/peer.ts'
import { receiveBody } from '../../plugins/lib/request-body.ts'
import { listen } from '../../plugins/integrations/http/listen.ts'
import { createTestKernel } from '../../testing/index.ts'
import { serve } from '../unit/http/rig.ts'

const TOKEN = 'a-token-of-enough-letters'
const ONE = '203.0.113.7'
const limited = (http: object = {}, burst = 3) =>
  createTestKernel({ config: { http: { production: true, addressLimit: { burst, perSecond: 1 }, ...http } } })
const from = (address: string, forwarded?: string): Request => {
  const headers = forwarded === undefined ? undefined : { 'x-forwarded-for': forwarded }
  const request = new Request('http://shop.example/_queue/api/queues', { headers })
  recordPeer(request, { address })
  return request
}

describe('the address of a client', () => {
  const asked = { undeclared: 0 }
  const of = (trusted: string[]) => createClientAddress(trusted, () => asked.undeclared++)

  it('is the address of the socket, the network for IPv6, and nothing for this machine', () => {
    const address = of([])
    expect(address(from(ONE))).toBe(ONE)
    expect(address(from(`::ffff:${ONE}`))).toBe(ONE)
    expect(address(from('2001:DB8:0:7::1'))).toBe('2001:db8:0:7::/64')
    expect(address(from('2001:db8::7:1:2:3:4'))).toBe('2001:db8:0:7::/64')
    expect(address(from('127.0.0.1'))).toBe(undefined)
    expect(address(new Request('http://x/'))).toBe(undefined)
  })

  it('is not read from strangers, but from trusted proxies', () => {
    expect(of([])(from(ONE, '198.51.100.1'))).toBe(ONE)
    const behind = of(['10.0.0.0/8', '2001:db8::/32'])
    expect(behind(from('10.0.0.2', `198.51.100.1, ${ONE}, 10.3.3.3`))).toBe(ONE)
    expect(behind(from('2001:db8::5', `${ONE}:4711`))).toBe(ONE)
    expect(behind(from('10.0.0.2', 'unknown'))).toBe('10.0.0.2')
    expect(behind(from('192.168.0.2', ONE))).toBe(undefined)
    expect(asked.undeclared).toBe(1)
    expect(of(['private'])(from('127.0.0.1', `10.1.1.1, ${ONE}`))).toBe(ONE)
  })

  it('comes from networks that are well written', () => {
    expect(['10.0.0.0/8', '::1', 'private', 'fc00::/7'].map(isNetwork)).toEqual([true, true, true, true])
    for (const text of ['10.0.0.0/33', 'proxy', '10.0.0.0/', '::/129', '1.2.3.4/8/8', ''])
      expect(isNetwork(text)).toBe(false)
  })
})

describe('strangers', () => {
  it('have a limited number of rejections, after which they must wait, unlike callers with the token', async () => {
    await using test = await limited({ token: TOKEN })
    const { http } = test.kernel
    const ask = (path: string, authorization: string, address = ONE): Promise<Response> =>
      http.fetch(new Request(`http://shop.example/_queue/${path}`, { headers: { authorization } }), { address })
    const statuses = async (times: number, path = 'api/queues'): Promise<number[]> => {
      const all: number[] = []
      for (let index = 0; index < times; index++) all.push((await ask(path, 'Bearer guess')).status)
      return all
    }
    expect(await statuses(5)).toEqual([401, 401, 401, 429, 429])
    expect((await ask('api/queues', 'Bearer guess')).headers.get('retry-after')).toBe('1')
    expect((await ask('wait/guess', '')).status).toBe(429)
    expect((await ask('api/queues', `Bearer ${TOKEN}`)).status).toBe(200)
    expect((await ask('api/queues', 'Bearer guess', '203.0.113.8')).status).toBe(401)
    await test.advance(2000)
    expect(await statuses(3, 'triggers/guess')).toEqual([404, 404, 429])
    const upgrade = await http.websocket.upgrade(new Request('http://shop.example/_queue/api/stream'), { address: ONE })
    expect((upgrade as Response).status).toBe(429)
    expect(
      (await http.fetch(new Request('http://shop.example/_queue/api/queues'), { address: '127.0.0.1' })).status,
    ).toBe(401)
  })

  it('have a limited number of simultaneous decisions, in which admitted callers do not count', async () => {
    const gate = Promise.withResolvers<boolean>()
    await using test = await limited({ authorize: () => gate.promise })
    const ask = (): Promise<Response> =>
      test.kernel.http.fetch(new Request('http://x/_queue/api/queues'), { address: ONE })
    const undecided = [ask(), ask(), ask()]
    expect((await ask()).status).toBe(429)
    gate.resolve(true)
    expect((await Promise.all(undecided)).map(({ status }) => status)).toEqual([200, 200, 200])
    for (let index = 0; index < 5; index++) expect((await ask()).status).toBe(200)
  })

  it('are counted and rejected before their body is received', async () => {
    const post = (body: string | ReadableStream, type: string): Request =>
      new Request('http://x/_queue/api/jobs', {
        method: 'POST',
        body,
        headers: { 'content-type': type },
        duplex: 'half',
      })
    await using open = await limited({ authorize: () => false })
    const statuses: number[] = []
    for (let index = 0; index < 4; index++) {
      statuses.push((await open.kernel.http.fetch(post('x', 'text/plain'), { address: ONE })).status)
    }
    expect(statuses).toEqual([415, 415, 415, 429])
    await using closed = await limited({ token: TOKEN })
    const endless = new ReadableStream({ pull: () => new Promise(() => {}) })
    expect((await closed.kernel.http.fetch(post(endless, 'application/json'), { address: ONE })).status).toBe(401)
  })

  it('cannot fill the memory with undecided bodies, nor cause rejections of callers with a token', async () => {
    const gate = Promise.withResolvers<boolean>()
    const asked = Promise.withResolvers<void>()
    let undecided = 0
    const authorize = (): Promise<boolean> => (++undecided === 64 && asked.resolve(), gate.promise)
    await using test = await limited({ token: TOKEN, authorize }, 100)
    const body = JSON.stringify({ queue: 'none', name: 'none', data: 'x'.repeat(1024 * 1024 - 100) })
    const post = (authorization: string): Promise<Response> => {
      const headers = { 'content-type': 'application/json', authorization }
      return test.kernel.http.fetch(new Request('http://x/_queue/api/jobs', { method: 'POST', body, headers }), {
        address: ONE,
      })
    }
    const held = Array.from({ length: 64 }, () => post(''))
    await asked.promise
    const refused = await post('')
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1'])
    expect((await post(`Bearer ${TOKEN}`)).status).not.toBe(503)
    gate.resolve(false)
    expect(new Set((await Promise.all(held)).map(({ status }) => status))).toEqual(new Set([403]))
    expect((await post('')).status).toBe(403)
  })

  it('who request the health at once cause one check of the stores', async () => {
    await using test = await limited({ token: TOKEN }, 100)
    const checks = vi.spyOn(test.kernel.port('events'), 'head')
    const ask = (): Promise<Response> =>
      test.kernel.http.fetch(new Request('http://x/_queue/api/health'), { address: ONE })
    const answers = await Promise.all(Array.from({ length: 50 }, ask))
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 50 }, () => 200))
    expect(checks).toHaveBeenCalledOnce()
    expect((await ask()).status).toBe(200)
    expect(checks).toHaveBeenCalledTimes(2)
  })

  it('who send malformed requests do not fill the log', async () => {
    await using rig = await serve({ production: true, token: TOKEN })
    for (const path of ['/_queue/api/queues', '/_queue/wait/x', '/']) {
      for (const host of ['localhost:99999', 'a b', '[::1', '%', 'localhost:x', 'a@b', 'a:b@c']) {
        expect(
          (await rig.raw(path, { method: 'POST', headers: { host }, body: '{}' })).status,
          `${host}${path}`,
        ).toBeLessThan(500)
      }
      for (const method of ['TRACE', 'PROPFIND', 'M-SEARCH', 'POST']) {
        expect((await rig.raw(path, { method })).status, method + path).toBeLessThan(500)
      }
    }
    expect(rig.reports).toEqual([])
  })

  it('cannot fill memory with addresses', async () => {
    await using test = await limited({ token: TOKEN }, 1)
    const ask = async (address: string): Promise<number> =>
      (await test.kernel.http.fetch(new Request('http://x/_queue/wait/x'), { address })).status
    expect([await ask(ONE), await ask(ONE)]).toEqual([404, 429])
    for (let index = 0; index < 10_000; index++) await ask(`203.${index >> 8}.${index & 255}.1`)
    expect(await ask(ONE)).toBe(404)
  })
})

describe('slow clients', () => {
  const sockets: Socket[] = []
  afterEach(() => sockets.splice(0).forEach((socket) => socket.destroy()))

  it('lose their sockets if their headers or their body do not arrive', async () => {
    await using test = await createTestKernel()
    const timeouts = { headersTimeout: 20, requestTimeout: 40, connectionsCheckingInterval: 10 }
    const server = await listen(test.kernel.http, {}, true, timeouts)
    const head = 'POST /_queue/api/jobs HTTP/1.1\r\nHost: localhost\r\n'
    const body = 'Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{'
    const answers = await Promise.all(
      [head, `${head}${body}`].map(async (text) => {
        const socket = createConnection(server.port, '127.0.0.1')
        sockets.push(socket)
        socket.write(text)
        let answer = ''
        for await (const chunk of socket.setEncoding('utf8')) answer += String(chunk)
        return answer.split('\r\n')[0]
      }),
    )
    expect(answers).toEqual(['HTTP/1.1 408 Request Timeout', 'HTTP/1.1 408 Request Timeout'])
    await server.close()
  })

  it('have a minute for a body, with any server', async () => {
    vi.useFakeTimers()
    const body = new ReadableStream<Uint8Array>({ start: (stream) => stream.enqueue(new Uint8Array(1)) })
    const request = new Request('http://x/', { method: 'POST', body, duplex: 'half' })
    const received = expect(receiveBody(request, 100, 'maxBody')).rejects.toMatchObject({ details: { status: 408 } })
    await vi.advanceTimersByTimeAsync(60_000)
    vi.useRealTimers()
    await received
  })

  it('that disconnect in the middle of a body do not fill the log', async () => {
    await using test = await createTestKernel()
    for (const path of ['api/jobs', 'wait/x']) {
      const body = new ReadableStream({ pull: (stream) => stream.error(new Error('aborted')) })
      const init = { method: 'POST', body, duplex: 'half', headers: { 'content-type': 'application/json' } }
      const request = new Request(`http://localhost/_queue/${path}`, init as RequestInit)
      expect((await test.kernel.http.fetch(request, { trusted: true })).status).toBe(400)
    }
    expect(test.reports).toEqual([])
  })

  it('lose a stream that they do not read, however small it is', async () => {
    await using test = await createTestKernel({ config: { http: { heartbeat: 1000 } } })
    const { http } = test.kernel
    const stream = await http.fetch(new Request('http://localhost/_queue/api/stream'), { trusted: true })
    expect([stream.status, http.connections]).toEqual([200, 1])
    for (let index = 0; index < 6; index++) await test.advance(1000)
    expect(http.connections).toBe(0)
  })
})
