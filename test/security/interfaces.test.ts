import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { networkInterfaces } from 'node:os'
import { afterEach, describe, expect, it } from 'vitest'
import { createVoucher, developmentPeer, upgradePeer } from '../../plugins/integrations/lib/nitro/development-peer.ts'
import { createTestKernel } from '../../testing/index.ts'

/** An address of this machine that a request reaches as one of another machine would: its socket shows it. */
const OUTSIDE = Object.values(networkInterfaces())
  .flat()
  .find((one) => one?.family === 'IPv4' && !one.internal)?.address

const servers: Server[] = []
afterEach(() => servers.splice(0).forEach((server) => server.close()))

async function listening(server: Server): Promise<number> {
  servers.push(server)
  await new Promise<void>((opened) => server.listen(0, '0.0.0.0', opened))
  return (server.address() as AddressInfo).port
}

describe.skipIf(OUTSIDE === undefined)('over the network (skipped where the machine has only loopback)', () => {
  it('the API rejects callers that only claim to be local, and serves this machine', async () => {
    await using test = await createTestKernel()
    const port = await listening(createServer((request, response) => void test.kernel.http.node(request, response)))
    const statusOf = async (host: string): Promise<number> =>
      (await fetch(`http://${host}:${port}/_queue/api/queues`, { headers: { host: 'localhost' } })).status
    expect(await statusOf('127.0.0.1')).toBe(200)
    expect(await statusOf(OUTSIDE!)).toBe(403)
  })

  it('a development server vouches only for requests of this machine, even if others guess its header', async () => {
    const secret = 'only-the-two-know'
    const voucher = createVoucher(secret)
    const server = createServer((req, response) => {
      voucher.vouch(req)
      response.end(String(developmentPeer(req, secret).trusted))
    })
    const port = await listening(server)
    const ask = async (host: string, headers: Record<string, string> = {}): Promise<string> =>
      (await fetch(`http://${host}:${port}/`, { headers })).text()
    expect(await ask('127.0.0.1')).toBe('true')
    expect(await ask('127.0.0.1', { 'x-forwarded-for': '127.0.0.1' })).toBe('false')
    expect(await ask(OUTSIDE!)).toBe('false')
    expect(await ask(OUTSIDE!, { 'x-nuxt-queue-local': 'guess', 'x-forwarded-for': '127.0.0.1' })).toBe('false')
  })

  it('the same for upgrades, before the proxy of the server sees them', async () => {
    const secret = 'only-the-two-know'
    const told = Promise.withResolvers<boolean[]>()
    const answers: boolean[] = []
    const server = createServer().on('upgrade', (request, socket) => {
      const headers = new Headers(request.headers as Record<string, string>)
      answers.push(upgradePeer({ headers } as Request, secret).trusted === true)
      socket.destroy()
      if (answers.length === 2) told.resolve(answers)
    })
    createVoucher(secret).watch(server)
    const port = await listening(server)
    for (const host of ['127.0.0.1', OUTSIDE!]) {
      const closed = Promise.withResolvers<void>()
      const socket = new WebSocket(`ws://${host}:${port}/`)
      socket.addEventListener('close', () => closed.resolve())
      socket.addEventListener('error', () => {})
      await closed.promise
    }
    expect(await told.promise).toEqual([true, false])
  })
})

describe('a request that an application in development makes itself', () => {
  it('is trusted, since it comes over no socket', () => {
    expect(developmentPeer({ headers: {} } as never, 'secret')).toEqual({ trusted: true })
  })
})
