import { connect, type Socket } from 'node:net'
import { once } from 'node:events'
import type { Kernel, StoredEvent } from 'nuxt-queue/kernel'
import { describe, expect, it } from 'vitest'
import type { HttpAction } from '../../../plugins/integrations/http/index.ts'
import { openSocket, openSse, seqs, serve, type Frame, type Rig } from './rig.ts'

const begin = { run: { status: 'running', name: 'watched' } } as const
const numbers = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index)

async function append(kernel: Kernel, runId: string, count: number, data: unknown = {}): Promise<void> {
  const events = Array.from({ length: count }, () => ({ type: 'noted', data }))
  await kernel.port('events').append(runId, events, begin)
}

async function complete(kernel: Kernel, runId: string): Promise<void> {
  await kernel.port('events').append(runId, [{ type: 'step.completed' }], { run: { status: 'completed' } })
}

const has = (count: number) => (frames: readonly Frame[]) => seqs(frames).length >= count
const ENDED: Frame = { kind: 'end', data: { status: 'completed' } }

describe.each([
  ['server-sent events', openSse],
  ['a WebSocket', openSocket],
] as const)('%s', (name, open) => {
  it('replay a run and follow it while events come, without gap or duplicate, up to its end', async () => {
    await using rig = await serve()
    const { kernel, api } = rig
    await append(kernel, 'a', 1500)
    await using inbox = await open(`${api}runs/a/stream`)
    for (let round = 0; round < 100; round++) {
      await append(kernel, 'a', 10)
      await new Promise(setImmediate)
    }
    await complete(kernel, 'a')
    const frames = await inbox.ended()
    expect(seqs(frames)).toEqual(numbers(1, 2501))
    expect(frames.filter(({ kind }) => kind === 'event').map(({ id }) => id)).toEqual(numbers(1, 2501).map(String))
    expect(frames.at(-1)).toEqual(ENDED)
  })

  it('begin at the given position, or with new events', async () => {
    await using rig = await serve()
    await append(rig.kernel, 'a', 5)
    await using later = await open(`${rig.api}runs/a/stream?after=3`)
    await later.until(has(2))
    await using now = await open(`${rig.api}runs/a/stream?after=now`)
    await listening(rig, 2)
    await append(rig.kernel, 'a', 1)
    expect([seqs(await later.until(has(3))), seqs(await now.until(has(1)))]).toEqual([[4, 5, 6], [6]])
    const places = now.frames.filter(({ kind }) => kind === 'cursor')
    expect(places, 'so that who is cut off before the first event comes back to here').toEqual([
      { kind: 'cursor', id: '5', data: {} },
    ])
  })

  it('end at once for an ended run, even if the client already has its events', async () => {
    await using rig = await serve()
    await append(rig.kernel, 'a', 2)
    await complete(rig.kernel, 'a')
    for (const [after, expected] of [
      ['2', [3]],
      ['3', []],
      ['now', []],
    ] as const) {
      await using inbox = await open(`${rig.api}runs/a/stream?after=${after}`)
      const frames = await inbox.ended()
      expect([seqs(frames), frames.at(-1)]).toEqual([expected, ENDED])
    }
  })

  it('wait for a run that has not begun', async () => {
    await using rig = await serve({}, { workers: { hello: () => 'hello' } })
    const job = await rig.kernel.enqueue('hello', undefined, { delay: 1000 })
    await using inbox = await open(`${rig.api}runs/${job.runId}/stream`)
    await rig.advance(1000)
    const frames = await inbox.ended()
    expect(seqs(frames)).toEqual([1, 2])
    expect(frames.at(-1)).toEqual(ENDED)
  })

  it('deliver messages that are not stored, without an id', async () => {
    await using rig = await serve()
    await append(rig.kernel, 'a', 1)
    await using inbox = await open(`${rig.api}runs/a/stream`)
    await inbox.until(has(1))
    await rig.kernel.port('events').publish('a', [{ type: 'client', data: { token: 'Once' } }])
    const frames = await inbox.until((all) => all.some(({ kind }) => kind === 'ephemeral'))
    expect(frames.at(-1)).toEqual({ kind: 'ephemeral', data: { runId: 'a', type: 'client', data: { token: 'Once' } } })
  })

  it('report errors that a new attempt cannot fix', async () => {
    await using rig = await serve()
    const events = rig.kernel.port('events')
    await append(rig.kernel, 'a', 5)
    await events.snapshots.put('a', { reducer: 'r', seq: 5, state: null })
    await events.trim('a', 3)
    await using inbox = await open(`${rig.api}runs/a/stream`)
    const problem = expect.objectContaining({ status: 410, code: 'EVENTS_TRIMMED' }) as unknown
    const data = name === 'a WebSocket' ? { problem } : problem
    expect((await inbox.ended()).at(-1)).toEqual({ kind: 'failure', data })
  })

  it('send heartbeats', async () => {
    await using rig = await serve({ heartbeat: 10_000 })
    await using inbox = await open(`${rig.api}runs/a/stream`)
    await listening(rig, 1)
    await rig.advance(10_000)
    await inbox.until((frames) => frames.some(({ kind, data }) => kind === 'ping' || data === ': ping'))
  })

  it('of all runs omit streams of plugins and runs that the caller may not see', async () => {
    const hidden = new Set(['secret'])
    const authorize = (_request: Request, { runId = '' }: HttpAction): boolean => !hidden.has(runId)
    await using rig = await serve({ authorize }, { workers: { hello: () => 'hello' } })
    const { kernel } = rig
    await using inbox = await open(`${rig.api}stream`)
    await listening(rig, 1)
    await kernel.port('events').append('registry', [{ type: 'worker.registered' }])
    await kernel.sendEvent('something')
    await rig.drain()
    await append(kernel, 'secret', 1)
    await kernel.port('events').publish('secret', [{ type: 'client', data: 1 }])
    await append(kernel, 'seen', 1)
    await kernel.port('events').publish('seen', [{ type: 'client', data: 1 }])
    const frames = await inbox.until((all) => all.some(({ kind }) => kind === 'ephemeral'))
    const told = frames.filter(({ kind }) => kind !== 'comment').map(({ data }) => (data as StoredEvent).runId)
    expect(told).toEqual(['seen', 'seen'])
  })

  it('are rejected at the maximum of open streams, and accepted once one has closed', async () => {
    await using rig = await serve({ maxConnections: 1 })
    const first = await open(`${rig.api}runs/a/stream`)
    await listening(rig, 1)
    await expect(open(`${rig.api}runs/a/stream`)).rejects.toThrow(/503|did not open/)
    const refused = await rig.ask('runs/a/stream')
    expect(refused).toMatchObject({ status: 503, body: { code: 'CONNECTIONS_FULL' } })
    expect(refused.headers.get('retry-after')).toBe('5')
    await first[Symbol.asyncDispose]()
    await listening(rig, 0)
    await using second = await open(`${rig.api}runs/a/stream`)
    await append(rig.kernel, 'a', 1)
    await second.until(has(1))
  })

  it('end with the kernel, without an end of the run', async () => {
    const rig = await serve()
    await append(rig.kernel, 'a', 1)
    await using inbox = await open(`${rig.api}runs/a/stream`)
    await inbox.until(has(1))
    await rig.close()
    expect((await inbox.ended()).map(({ kind }) => kind)).not.toContain('end')
  })
})

describe('resuming', () => {
  it('continues after the header Last-Event-ID, which overrides the address', async () => {
    await using rig = await serve()
    await append(rig.kernel, 'a', 5)
    await using inbox = await openSse(`${rig.api}runs/a/stream?after=1`, { headers: { 'last-event-id': '4' } })
    expect(seqs(await inbox.until(has(1)))).toEqual([5])
  })

  it('repeatedly loses and repeats no event', async () => {
    await using rig = await serve()
    const all: number[] = []
    for (let round = 0; round < 20; round++) {
      await append(rig.kernel, 'a', 7)
      const inbox = await openSse(`${rig.api}runs/a/stream`, { headers: { 'last-event-id': String(all.at(-1) ?? 0) } })
      all.push(...seqs(await inbox.until(has(1))).slice(0, 3))
      inbox.leave()
    }
    expect(all).toEqual(numbers(1, all.length))
  })
})

describe('a client that does not read', () => {
  const filler = 'x'.repeat(50_000)

  async function stuck(rig: Rig, path: string, headers = ''): Promise<Socket> {
    const socket = connect(rig.server.port, '127.0.0.1')
    socket.pause()
    socket.on('error', () => {})
    socket.write(`GET /_queue/api/${path} HTTP/1.1\r\nhost: localhost\r\n${headers}\r\n`)
    return socket
  }

  it.each([
    ['server-sent events', ''],
    [
      'a WebSocket',
      'connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n',
    ],
  ])('of %s is let go, and another one gets everything', async (_name, headers) => {
    await using rig = await serve({ maxBacklog: 100_000 })
    const { kernel } = rig
    await append(kernel, 'a', 1)
    const socket = await stuck(rig, 'runs/a/stream', headers)
    await using other = await openSse(`${rig.api}runs/a/stream`)
    await listening(rig, 2)
    for (let sent = 1; sent < 300; sent++) {
      await append(kernel, 'a', 1, filler)
      await other.until(has(sent + 1))
    }
    await listening(rig, 1)
    // The client may still read for a while what was already sent.
    const closed = once(socket, 'close')
    await rig.advance(5_000)
    socket.resume()
    await closed
    expect(seqs(await other.until(has(300)))).toEqual(numbers(1, 300))
  })

  it('delays its replay, and is closed when it has read nothing for two heartbeats', async () => {
    await using rig = await serve({ maxBacklog: 100_000, heartbeat: 1000 })
    await append(rig.kernel, 'a', 2000, filler.slice(0, 10_000))
    const socket = await stuck(rig, 'runs/a/stream')
    await listening(rig, 1)
    while (rig.kernel.http.connections > 0) await rig.advance(1_000)
    socket.destroy()
  })

  it('at first but later receives all of a long replay', async () => {
    await using rig = await serve({ maxBacklog: 100_000 })
    await append(rig.kernel, 'a', 2000, filler.slice(0, 5_000))
    await complete(rig.kernel, 'a')
    const response = await fetch(`${rig.api}runs/a/stream`)
    // The replay has stopped long before these requests are answered.
    for (let turns = 0; turns < 20; turns++) await rig.ask('queues')
    const text = await response.text()
    expect(text.match(/^id: /gm)).toHaveLength(2001)
    expect(text).toContain('event: end')
  })
})

describe('as a response for another kind of server', () => {
  it('streams follow up to the end', async () => {
    await using rig = await serve()
    await append(rig.kernel, 'a', 1500, 'x'.repeat(1000))
    const response = await rig.kernel.http.fetch(new Request('http://localhost/_queue/api/runs/a/stream'), {
      trusted: true,
    })
    await complete(rig.kernel, 'a')
    const text = await response.text()
    expect(text.match(/^id: /gm)).toHaveLength(1501)
    expect(text).toContain('event: end')
  })

  it('streams are closed when their reader disconnects', async () => {
    await using rig = await serve({ maxConnections: 1 })
    const stream = async (): Promise<Response> =>
      rig.kernel.http.fetch(new Request('http://localhost/_queue/api/runs/a/stream'), { trusted: true })
    const first = await stream()
    expect((await stream()).status).toBe(503)
    await first.body!.cancel()
    const second = await stream()
    expect(second.status).toBe(200)
    await second.body!.cancel()
  })
})

/** Waits until the server has noticed that this number of streams is open. */
async function listening({ kernel }: Rig, count: number): Promise<void> {
  while (kernel.http.connections !== count) await new Promise((resolve) => setTimeout(resolve, 2))
}
