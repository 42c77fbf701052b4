import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createSSRApp, effectScope, h, nextTick, ref, watch, type EffectScope } from 'vue'
import { renderToString } from 'vue/server-renderer'
import { provideQueue, useQueueStream, type QueueStreamOptions } from '../../../../plugins/integrations/client/vue.ts'
import { begin, END, ephemeral, event, problem, serve, stream } from './rig.ts'

let scope: EffectScope
beforeEach(() => {
  // The global that distinguishes a browser from a server.
  vi.stubGlobal('window', globalThis)
  scope = effectScope()
})
afterEach(() => {
  scope.stop()
  vi.unstubAllGlobals()
})

const use = (runId: Parameters<typeof useQueueStream>[0], options: QueueStreamOptions) =>
  scope.run(() => useQueueStream<{ count: number }>(runId, { backoff: { min: 1, max: 5 }, ...options }))!

/** Waits until the displayed state is as expected. */
function until(holds: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const stop = watch(holds, (now) => now && void nextTick(() => (stop(), resolve())), {
      immediate: true,
      flush: 'sync',
    })
  })
}

describe('useQueueStream', () => {
  it('shows a flow from its events: status, steps, progress, logs, state, messages, result', async () => {
    const at = (seq: number, type: string, data: unknown, more: object = {}): string =>
      `id: ${seq}\ndata: ${JSON.stringify({ seq, ts: seq, runId: 'r', type, data, flow: 'f', step: 'a', stepId: 'ja', ...more })}\n\n`
    const b = { step: 'b', stepId: 'jb' }
    await using server = await serve(
      stream(
        [
          ephemeral('progress', { jobId: 'ja', step: 'a', value: 0.5, message: 'half' }),
          at(1, 'flow.started', { input: 1, step: 'a' }),
          at(2, 'step.started', {}, { attempt: 1 }),
          at(3, 'state.set', { key: 'count', value: 1 }),
          at(4, 'runner.log', { level: 'info', message: 'hi', meta: { n: 1 } }),
          at(5, 'client.message', { type: 'answer', data: 'kept' }),
          at(6, 'step.completed', { result: 'A' }),
          at(7, 'step.queued', {}, b),
          at(8, 'step.started', {}, { ...b, attempt: 1 }),
          at(9, 'step.retry', { error: { name: 'Error', message: 'once' } }, { ...b, attempt: 1 }),
          at(10, 'step.started', {}, { ...b, attempt: 2 }),
          at(11, 'state.batch', { changes: [{ key: 'count', value: 3 }] }),
          ephemeral('client', { jobId: 'jb', step: 'b', type: 'token', data: 'gone' }),
          at(12, 'step.completed', { result: 'B' }, b),
          at(13, 'flow.completed', { result: 'done' }, { step: undefined, stepId: undefined }),
          END,
        ].join(''),
      ),
    )
    const run = use('r', { baseURL: server.baseURL })
    const tokens: unknown[] = []
    run.onMessage('token', (data) => tokens.push(data))
    expect(run.status.value).toBe('connecting')
    await until(() => run.connection.value === 'ended' && run.status.value === 'completed')
    expect(run.result.value).toBe('done')
    expect(run.state.value).toEqual({ count: 3 })
    expect(run.progress.value).toEqual({ step: 'a', value: 0.5, message: 'half' })
    expect(run.steps.value).toMatchObject([
      {
        id: 'ja',
        name: 'a',
        status: 'completed',
        attempt: 1,
        result: 'A',
        startedAt: 2,
        endedAt: 6,
        progress: { value: 0.5 },
      },
      { id: 'jb', name: 'b', status: 'completed', attempt: 2, result: 'B', startedAt: 8, endedAt: 12 },
    ])
    expect(run.logs.value).toEqual([{ seq: 4, ts: 4, step: 'a', level: 'info', message: 'hi', meta: { n: 1 } }])
    expect(run.messages.value.map(({ type, data, seq }) => [type, data, seq])).toEqual([
      ['answer', 'kept', 5],
      ['token', 'gone', undefined],
    ])
    expect(tokens).toEqual(['gone'])
    expect(run.events.value).toHaveLength(13)
    expect(server.asked[0]!.url.pathname).toBe('/runs/r/stream')
  })

  it('updates at most once per frame, and keeps the newest events', async () => {
    const many = Array.from({ length: 10_000 }, (_, index) => event(index + 1, index))
    await using server = await serve(stream(many.join('') + event(10_001, { result: 1 }, 'step.completed') + END))
    const run = use('r', { baseURL: server.baseURL, limit: 100 })
    let updates = 0
    scope.run(() => watch(run.events, () => updates++, { flush: 'sync' }))
    await until(() => run.status.value === 'completed')
    expect(run.events.value.map(({ seq }) => seq)).toEqual(Array.from({ length: 100 }, (_, index) => 9_902 + index))
    expect(updates).toBeLessThan(100)
  })

  it('keeps the newest ended steps and all running steps', async () => {
    const of = (job: number, type: string): string =>
      `data: ${JSON.stringify({ seq: job * 10, ts: job, runId: 'r', type, data: {}, flow: 'f', step: 's', stepId: `j${job}` })}\n\n`
    const lines = Array.from({ length: 1_000 }, (_, n) => of(n + 1, n === 0 ? 'step.started' : 'step.completed'))
    const progress = lines.map((_, n) => ephemeral('progress', { jobId: `p${n}`, step: 's', value: 0.5 }))
    await using server = await serve(stream(lines.map((line, n) => line + progress[n]!).join('') + END))
    const run = use('r', { baseURL: server.baseURL, limit: 10 })
    await until(() => run.status.value === 'completed')
    expect(run.steps.value.map(({ id }) => id)).toEqual(['j1', ...Array.from({ length: 9 }, (_, n) => `j${992 + n}`)])
  })

  it('follows another run when its id changes, and none without one', async () => {
    const open: string[] = []
    await using server = await serve((response, { url }) => {
      open.push(url.pathname)
      response.once('close', () => open.splice(open.indexOf(url.pathname), 1))
      begin(response).write(event(1, { result: url.pathname }, 'step.completed'))
    })
    const id = ref<string>()
    const run = use(id, { baseURL: server.baseURL })
    expect([run.status.value, run.connection.value]).toEqual(['idle', 'idle'])
    id.value = 'one'
    await until(() => run.result.value === '/runs/one/stream')
    id.value = 'two'
    await until(() => run.result.value === '/runs/two/stream')
    id.value = undefined
    await until(() => run.status.value === 'idle')
    expect(run.events.value).toEqual([])
    id.value = 'three'
    await until(() => run.result.value === '/runs/three/stream')
    scope.stop()
    await expect.poll(() => open).toEqual([])
    expect(run.connection.value).toBe('closed')
  })

  it('shows why a run cannot be followed, and cancels', async () => {
    await using server = await serve(problem(404, 'RUN_NOT_FOUND'), (response) => void response.end('{"changed":true}'))
    const run = use(() => 'a/b', { baseURL: server.baseURL, headers: { authorization: 'me' } })
    await until(() => run.connection.value === 'failed')
    expect(run.error.value).toMatchObject({ code: 'RUN_NOT_FOUND', status: 404 })
    expect(await run.cancel('enough')).toBe(true)
    expect(server.asked[1]).toMatchObject({ method: 'POST', body: '{"reason":"enough"}' })
    expect(server.asked.map(({ url }) => url.pathname)).toEqual(['/runs/a%2Fb/stream', '/runs/a%2Fb/cancel'])
    expect(server.asked[1]!.headers).toMatchObject({ authorization: 'me', 'content-type': 'application/json' })
  })

  it('does nothing on a server, and uses the configured API address in a browser', async () => {
    vi.unstubAllGlobals()
    await using server = await serve(stream(END))
    const child = {
      setup() {
        const { status, connection } = useQueueStream('r')
        return () => h('p', `${status.value} ${connection.value}`)
      },
    }
    const page = {
      setup() {
        provideQueue({ baseURL: server.baseURL })
        return () => h(child)
      },
    }
    expect(await renderToString(createSSRApp(page))).toBe('<p>connecting connecting</p>')
    expect(server.asked).toEqual([])
    vi.stubGlobal('window', globalThis)
    await renderToString(createSSRApp(page))
    await expect.poll(() => server.asked).toHaveLength(1)
  })
})
