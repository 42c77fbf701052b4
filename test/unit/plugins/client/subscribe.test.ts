import { createServer, type ServerResponse } from 'node:http'
import fc from 'fast-check'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { createKernel } from '../../../../index.ts'
import {
  follow,
  subscribe,
  type SubscribeOptions,
  type SubscriptionStatus,
} from '../../../../plugins/integrations/client/index.ts'
import { begin, cut, END, ephemeral, event, events, problem, serve, stream, trickle } from './rig.ts'

const QUICK = { min: 1, max: 5 }
const upTo = (last: number): number[] => Array.from({ length: last }, (_, index) => index + 1)

/** Follows the stream to its end, and returns the received events. */
function watch(url: string, options: SubscribeOptions = {}) {
  const [seqs, data, told]: [number[], unknown[], string[]] = [[], [], []]
  const statuses: SubscriptionStatus[] = []
  const subscription = subscribe(url, {
    backoff: QUICK,
    ...options,
    onEvent(given) {
      seqs.push(given.seq)
      data.push(given.data)
      return options.onEvent?.(given)
    },
    onMessage: ({ type }) => void told.push(type),
    onEnd: (status) => void told.push(status),
    onError: ({ code }) => void told.push(code),
    onStatus: (status, reason) => {
      statuses.push(status)
      options.onStatus?.(status, reason)
    },
  })
  return { subscription, seqs, data, told, statuses }
}

/** A kernel behind a server, whose worker `work` emits the given number of events. */
async function serveKernel() {
  const config = { registry: { dirs: [] }, http: { authorize: () => true } }
  const kernel = await createKernel({ preset: 'dev', config })
  await kernel.registerWorker({
    id: 'work',
    async handler({ data }, ctx) {
      for (let n = 0; n < Number(data ?? 1); n++) await ctx.emit('count', n)
      await ctx.progress(0.5)
    },
  })
  await kernel.start()
  const { url } = await kernel.http.listen({ port: 0 })
  return {
    enqueue: (worker: string, data?: unknown) => kernel.enqueue(worker, data),
    result: (job: { queue: string; id: string; runId: string }) => kernel.result(job),
    urlOf: (runId: string) => `${url}/_queue/api/runs/${runId}/stream`,
    [Symbol.asyncDispose]: async () => void (await kernel.close()),
  }
}

describe('subscribe', () => {
  it('delivers events and messages in order until the run ends, and does not reconnect then', async () => {
    await using server = await serve(
      stream(`retry: 1000\n: hi\n\n${events(1, 2)}${ephemeral('progress', {})}${event(3)}${END}`),
    )
    const { subscription, seqs, told, statuses } = watch(server.url, { headers: () => ({ authorization: 'me' }) })
    await subscription.closed
    expect(seqs).toEqual([1, 2, 3])
    expect(told).toEqual(['progress', 'completed'])
    expect(statuses).toEqual(['open', 'ended'])
    expect(subscription).toMatchObject({ status: 'ended', cursor: 3, error: undefined })
    expect(server.asked).toHaveLength(1)
    expect(server.asked[0]!.headers).toMatchObject({ authorization: 'me', accept: 'text/event-stream' })
  })

  it('assembles frames that arrive in single bytes', async () => {
    await using server = await serve(trickle(events(1, 3) + END))
    const { subscription, data } = watch(server.url)
    await subscription.closed
    expect(data).toEqual(['é😀', 'é😀', 'é😀'])
  })

  it('continues after every cut, at any position within a frame', async () => {
    const text = event(2)
    const cuts = Array.from({ length: Buffer.byteLength(text) }, (_, index) =>
      cut(event(1) + Buffer.from(text).subarray(0, index).toString('latin1')),
    )
    await using server = await serve(...cuts.filter((_, index) => index % 7 === 0), stream(events(2, 3) + END))
    const { subscription, seqs, statuses } = watch(server.url)
    await subscription.closed
    expect(seqs).toEqual([1, 2, 3])
    expect(server.asked[0]!.url.search).toBe('')
    expect(new Set(server.asked.slice(1).map(({ url }) => url.searchParams.get('after')))).toEqual(new Set(['1']))
    expect(statuses.slice(0, 4)).toEqual(['open', 'reconnecting', 'open', 'reconnecting'])
  })

  it('delivers no event twice or out of order, even if the server repeats events', async () => {
    const answers = [events(1, 5), events(2, 7) + events(3, 4), events(1, 9) + END]
    await using server = await serve(...answers.map((text) => stream(text)))
    const { subscription, seqs } = watch(server.url)
    await subscription.closed
    expect(seqs).toEqual(upTo(9))
  })

  it('retries temporary errors, and observes Retry-After', async () => {
    const answers = [problem(503, 'QUEUE_DOWN'), problem(429, 'RATE_LIMITED', { 'retry-after': '0.05' }), cut('')]
    await using server = await serve(...answers, stream(event(1) + END))
    const reasons: unknown[] = []
    const started = performance.now()
    const { subscription, seqs } = watch(server.url, {
      onStatus: (_status, reason) => reason && reasons.push(reason.code),
    })
    await subscription.closed
    expect(seqs).toEqual([1])
    expect(reasons).toEqual(['QUEUE_DOWN', 'RATE_LIMITED', 'INTERRUPTED'])
    expect(performance.now() - started).toBeGreaterThan(45)
  })

  it.each([
    ['a problem', problem(404, 'RUN_NOT_FOUND'), 'RUN_NOT_FOUND'],
    ['a page', (response: { end(text: string): void }) => response.end('<html>'), 'NOT_A_STREAM'],
    [
      'a failure',
      stream(`${event(1)}event: failure\ndata: {"code":"EVENTS_TRIMMED","status":410}\n\n`),
      'EVENTS_TRIMMED',
    ],
  ])('stops at %s that would come again', async (_what, answer, code) => {
    await using server = await serve(answer)
    const { subscription, told } = watch(server.url, { patience: 0 })
    await subscription.closed
    expect(told).toEqual([code])
    expect(subscription).toMatchObject({ status: 'failed', error: { code } })
    expect(server.asked).toHaveLength(1)
  })

  const page =
    (status: number) =>
    (response: ServerResponse): void =>
      void response.writeHead(status, { 'content-type': 'text/html' }).end('<html>')
  const deploy = [page(502), page(404), page(200), page(503)]

  it('ignores error pages of a proxy during a deployment, even before the first connection', async () => {
    await using server = await serve(...deploy, stream(event(1)), ...deploy, stream(event(2) + END))
    const { subscription, seqs, told, statuses } = watch(server.url)
    await subscription.closed
    expect(seqs).toEqual([1, 2])
    expect(told).toEqual(['completed'])
    expect(statuses.filter((status) => status === 'reconnecting')).toHaveLength(9)
  })

  it('tolerates foreign responses only after the first connection', async () => {
    await using server = await serve(stream(event(1)), ...deploy, stream(event(2) + END))
    const { subscription, seqs } = watch(server.url, { patience: 0 })
    await subscription.closed
    expect(seqs).toEqual([1, 2])
  })

  it.each([401, 403])('stops at a %i of a proxy in front of the API', async (status) => {
    await using server = await serve(stream(event(1)), page(status))
    const { subscription, told } = watch(server.url)
    await subscription.closed
    expect(told).toEqual([`HTTP_${status}`])
  })

  describe.each(['sse', 'websocket'] as const)('by %s', (transport) => {
    it('accepts callbacks that return anything or throw, and reports their errors', async () => {
      const reported: unknown[] = []
      vi.stubGlobal('reportError', (error: unknown) => reported.push(error))
      onTestFinished(() => void vi.unstubAllGlobals())
      await using kernel = await serveKernel()
      const job = await kernel.enqueue('work')
      const returns = [() => 1, () => 'text', () => null, async () => 1, () => Promise.reject(new Error('no'))]
      for (const callback of returns as (() => void)[]) {
        const options = { onEvent: callback, onMessage: callback, onStatus: callback, onEnd: callback }
        await subscribe(kernel.urlOf(job.runId), { transport, ...options }).closed
      }
      expect(new Set(reported.splice(0).map(String))).toEqual(new Set(['Error: no']))
      const callback = (): never => {
        throw new Error('thrown')
      }
      const options = { onEvent: callback, onStatus: callback, onEnd: callback }
      const run = subscribe(kernel.urlOf(job.runId), { transport, ...options })
      await run.closed
      expect(run.status).toBe('ended')
      expect(new Set(reported.map(String))).toEqual(new Set(['Error: thrown']))
    })

    it('calls back for one event after the other, even if many arrive at once', async () => {
      await using kernel = await serveKernel()
      const job = await kernel.enqueue('work', 2_500)
      await kernel.result(job)
      const seqs: number[] = []
      let busy = 0
      let most = 0
      const run = subscribe(kernel.urlOf(job.runId), {
        ...{ transport, backoff: QUICK },
        async onEvent({ seq }) {
          most = Math.max(most, ++busy)
          if (seq % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 1))
          else await undefined
          seqs.push(seq)
          busy--
        },
      })
      await run.closed
      expect(most).toBe(1)
      expect(seqs).toEqual(upTo(2_502))
    })
  })

  it('asks over HTTP why a WebSocket is rejected, and rejects headers that it cannot send', async () => {
    await using server = await serve(problem(503, 'DOWN'), problem(503, 'DOWN'), problem(404, 'RUN_NOT_FOUND'))
    const { subscription, told } = watch(server.url, { transport: 'websocket' })
    await subscription.closed
    expect(told).toEqual(['RUN_NOT_FOUND'])
    const wrong = watch(server.url, { transport: 'websocket', headers: { authorization: 'me' } })
    await wrong.subscription.closed
    expect(wrong.told).toEqual(['OPTION_INVALID'])
  })

  it('reconnects when a connection is silent, unless heartbeats arrive', async () => {
    await using server = await serve(
      async (response) => {
        begin(response).write(event(1))
        for (let beat = 0; beat < 4; beat++) {
          await new Promise((resolve) => setTimeout(resolve, 40))
          response.write(': ping\n\n')
        }
        response.write(event(2))
      },
      stream(event(3) + END),
    )
    const { subscription, seqs, statuses } = watch(server.url, { silence: 80 })
    await subscription.closed
    expect(seqs).toEqual([1, 2, 3])
    expect(statuses).toEqual(['open', 'reconnecting', 'open', 'ended'])
  })

  it('reconnects to a server that was unavailable', async () => {
    const down = await serve(stream(event(1)))
    const { subscription, seqs } = watch(down.url, {
      onStatus(_status, reason) {
        if (reason?.code === 'UNREACHABLE') back.resolve()
      },
    })
    const back = Promise.withResolvers<void>()
    while (seqs.length === 0) await new Promise((resolve) => setImmediate(resolve))
    await down[Symbol.asyncDispose]()
    await back.promise
    const up = createServer((_request, response) => begin(response).end(event(2) + END))
    await new Promise<void>((resolve) => up.listen(down.port, '127.0.0.1', resolve))
    await subscription.closed
    expect(seqs).toEqual([1, 2])
    up.close()
  })

  it('keeps its position in a stream of all runs, in which events between two cursors may be repeated', async () => {
    const of = (runId: string, seq: number, id?: string): string =>
      `${id === undefined ? '' : `id: ${id}\n`}data: ${JSON.stringify({ runId, seq, type: 'x', data: `${runId}${seq}` })}\n\n`
    await using server = await serve(
      stream(of('a', 7) + of('b', 1, 'c1') + of('a', 8) + of('b', 2)),
      stream(of('a', 8) + of('b', 2) + of('c', 1, 'c2') + END),
    )
    const { subscription, data } = watch(server.url)
    await subscription.closed
    expect(data).toEqual(['a7', 'b1', 'a8', 'b2', 'c1'])
    expect(server.asked[1]!.url.searchParams.get('after')).toBe('c1')
    expect(subscription.cursor).toBe('c2')
  })

  it('delivers nothing after it was closed, by a call or by a signal', async () => {
    await using server = await serve((response) => void begin(response).write(events(1, 3)))
    const byHand = watch(server.url, { onEvent: () => byHand.subscription.close() })
    await byHand.subscription.closed
    expect(byHand.seqs).toEqual([1])
    const controller = new AbortController()
    const bySignal = watch(server.url, { signal: controller.signal, onEvent: () => controller.abort() })
    await bySignal.subscription.closed
    expect(bySignal.seqs).toEqual([1])
    expect(bySignal.statuses.at(-1)).toBe('closed')
    const never = watch(server.url, { signal: AbortSignal.abort() })
    await never.subscription.closed
    expect(server.asked).toHaveLength(2)
  })
})

it('delivers every event once and in order, even if connections fail', async () => {
  const connection = fc.record({
    again: fc.nat(5),
    more: fc.nat(20),
    kept: fc.double({ min: 0, max: 1, noNaN: true }),
    status: fc.constantFrom(200, 200, 200, 503),
    ended: fc.boolean(),
  })
  const property = fc.asyncProperty(fc.array(connection, { maxLength: 8 }), async (connections) => {
    const left = [...connections]
    await using server = await serve((response, { url }) => {
      const after = Number(url.searchParams.get('after') ?? 0)
      const next = left.shift()
      if (!next) return stream(events(after + 1, 100) + END)(response)
      if (next.status !== 200) return problem(next.status, 'DOWN')(response)
      const bytes = Buffer.from(events(Math.max(1, after + 1 - next.again), Math.min(99, after + next.more)))
      begin(response).write(bytes.subarray(0, Math.ceil(next.kept * bytes.length)), () =>
        next.ended ? response.end() : response.destroy(),
      )
    })
    const { subscription, seqs, data } = watch(server.url, { backoff: { min: 0, max: 1 } })
    await subscription.closed
    expect(seqs).toEqual(upTo(100))
    expect(new Set(data)).toEqual(new Set(['é😀']))
  })
  await fc.assert(property, { numRuns: 30 })
})

describe('follow', () => {
  it('delivers events to a loop at its pace, across reconnections', async () => {
    await using server = await serve(stream(events(1, 20)), stream(events(21, 30) + END))
    const seqs: number[] = []
    for await (const { seq } of follow(server.url, { backoff: QUICK })) {
      seqs.push(seq)
      if (seq % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 1))
    }
    expect(seqs).toEqual(upTo(30))
  })

  it('closes when the loop ends, and throws the error that ended the stream', async () => {
    await using server = await serve((response) => void begin(response).write(events(1, 3)), problem(403, 'NO'))
    for await (const { seq } of follow(server.url)) if (seq === 2) break
    const refused = async (): Promise<void> => {
      for await (const _event of follow(server.url)) expect.unreachable()
    }
    await expect(refused()).rejects.toMatchObject({ code: 'NO', status: 403 })
  })
})
