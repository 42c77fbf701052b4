import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { effectScope, watch } from 'vue'
import { z } from 'zod'
import { createClient, type QueueClient } from '../../../../plugins/integrations/client/index.ts'
import { useQueueStream } from '../../../../plugins/integrations/client/vue.ts'
import { createKernel, type Kernel } from '../../../../index.ts'

/** The client against the real HTTP interface. */
describe.each(['sse', 'websocket'] as const)('the client and the HTTP plugin, by %s', (transport) => {
  let kernel: Kernel
  let client: QueueClient
  let baseURL: string
  const gate = Promise.withResolvers<void>()

  beforeAll(async () => {
    kernel = await createKernel({ preset: 'dev', config: { registry: { dirs: [] }, http: { authorize: () => true } } })
    await kernel.registerWorker({
      id: 'tell',
      config: { client: { token: z.string(), answer: { schema: z.string(), store: true } } },
      async handler({ data }, ctx) {
        for (let n = 0; n < 1_200; n++) await ctx.emit('count', n)
        await gate.promise
        await ctx.state.set('seen', data)
        await ctx.progress(0.5, 'half')
        await ctx.client.send('token', 'x')
        await ctx.client.send('answer', 'y')
        return 'done'
      },
    })
    await kernel.start()
    const { url } = await kernel.http.listen({ port: 0 })
    baseURL = new URL('/_queue/api/', url).href
    client = createClient({ baseURL })
  })
  afterAll(() => kernel.close())

  it('starts a job, follows it from its first event to its end, and returns its result', async () => {
    const { runId, queue, id } = await client.jobs.enqueue('tell', { n: 1 })
    const seqs: number[] = []
    const told: unknown[] = []
    const run = client.runs.stream(runId, {
      transport,
      after: 0,
      onEvent({ seq }) {
        seqs.push(seq)
        if (seq === 1_000) gate.resolve()
      },
      onMessage: ({ type, data }) => told.push([type, (data as { value?: number }).value]),
      onEnd: (status) => told.push(status),
    })
    await run.closed
    expect(run.status).toBe('ended')
    expect(seqs).toEqual(Array.from({ length: 1_204 }, (_, index) => index + 1))
    expect(told).toEqual([['progress', 0.5], ['client', undefined], 'completed'])
    expect(await client.runs.result(runId)).toEqual({ status: 'completed', result: 'done' })
    expect(await client.jobs.get(queue, id)).toMatchObject({ state: 'completed', data: { n: 1 } })
    const filter = { state: ['failed', 'completed'], name: 'tell', data: { n: 1 }, createdAfter: new Date(0) } as const
    expect((await client.jobs.list({ ...filter, limit: 1 })).jobs.map((job) => job.data)).toEqual([{ n: 1 }])
    expect((await client.jobs.count(filter)).counts.completed).toBeGreaterThan(0)
    expect((await client.runs.list({ name: 'tell', limit: 1 })).runs).toMatchObject([{ runId, head: 1_204 }])
    expect((await client.runs.events(runId, { types: ['client.message'], limit: 5 })).events).toHaveLength(1)
    expect(await client.runs.state(runId)).toEqual({ seen: { n: 1 } })
    expect(await client.runs.cancel(runId)).toEqual({ changed: false })

    // The same for a page, after it has ended.
    vi.stubGlobal('window', globalThis)
    const scope = effectScope()
    const page = scope.run(() => useQueueStream(runId, { baseURL, transport, limit: 10 }))!
    await new Promise<void>((resolve) => {
      scope.run(() => watch(page.connection, (now) => now === 'ended' && resolve(), { flush: 'sync' }))
    })
    expect([page.status.value, page.result.value, page.state.value]).toEqual(['completed', 'done', { seen: { n: 1 } }])
    expect(page.steps.value).toMatchObject([{ id, name: 'tell', status: 'completed' }])
    scope.stop()
    vi.unstubAllGlobals()
  })

  it('reports rejections of the server by the code of the error', async () => {
    await expect(client.runs.get('nobody')).rejects.toMatchObject({ code: 'RUN_NOT_FOUND', status: 404 })
    await expect(client.jobs.enqueue('nobody')).rejects.toMatchObject({ code: 'WORKER_UNKNOWN' })
    const lost = client.stream({ after: 'x' })
    await lost.closed
    expect(lost.error).toMatchObject({ code: 'OPTION_UNSUPPORTED', status: 400 })
  })
})
