import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { z } from 'zod'
import { definePlugin, type KernelConfig, type PluginKernel } from 'nuxt-queue/kernel'
import type { WebhookFacts } from 'nuxt-queue'
import { createSharedDecisions } from '../../../plugins/lib/shared-decisions.ts'
import { errorOf } from '../../../testing/conformance/harness.ts'
import { createTestKernel, type TestKernel } from '../../../testing/index.ts'

const HOOKS = 'https://example.com/_queue/triggers/'

async function post(test: TestKernel, path: string, init: RequestInit): Promise<{ status: number; body: unknown }> {
  const response = await test.kernel.webhooks.fetch(new Request(HOOKS + path, { method: 'POST', ...init }))
  return { status: response.status, body: await response.json() }
}

const json = (value: unknown, headers: Record<string, string> = {}): RequestInit => ({
  body: JSON.stringify(value),
  headers: { 'content-type': 'application/json', ...headers },
})

/** Creates a kernel, and records the data that its worker `w` receives. */
async function openRecording(config?: KernelConfig): Promise<{ test: TestKernel; ran: unknown[] }> {
  const ran: unknown[] = []
  const test = await createTestKernel({ config, workers: { w: ({ data }) => void ran.push(data) } })
  return { test, ran }
}

it('reads the decisions of operators a few times a second, and not for each event, from a store that instances share', async () => {
  const { test, ran } = await openRecording()
  await using _ = test
  const { kernel } = test
  const events = kernel.port('events')
  let reads = 0
  const read = events.read.bind(events)
  Object.assign(events, {
    capabilities: { ...events.capabilities, shared: true },
    read(stream: string, options?: object) {
      if (stream === '_triggers') reads++
      return read(stream, options)
    },
  })
  const began = performance.now()
  for (let n = 0; n < 100; n++) {
    await kernel.sendEvent('e', n)
    await test.drain()
  }
  expect(reads).toBeLessThanOrEqual(1 + Math.ceil((performance.now() - began) / 200))
  // This instance knows its own decisions at once.
  await kernel.saveTrigger('t', { type: 'event', event: 'e', worker: 'w' })
  await kernel.sendEvent('e', 'saved')
  await test.drain()
  await kernel.pauseTrigger('t')
  await kernel.sendEvent('e', 'paused')
  await test.drain()
  expect(ran).toEqual(['saved'])
})

describe('triggers of the configuration', () => {
  it('have schemas and functions, and start their target', async () => {
    const { test, ran } = await openRecording({
      triggers: {
        sums: {
          type: 'manual',
          input: z.object({ values: z.array(z.number()) }),
          filter: ({ values }: { values: number[] }) => values.length > 0,
          transform: ({ values }: { values: number[] }) => values.reduce((sum, value) => sum + value, 0),
          worker: 'w',
        },
        hourly: { type: 'schedule', every: 3_600_000, data: (moment: Date) => moment.getTime(), worker: 'w' },
      },
    })
    await test.kernel.emitTrigger('sums', { values: [1, 2] })
    await test.kernel.emitTrigger('sums', { values: [] })
    await test.advance('1h')
    expect(ran).toEqual([3, Date.UTC(2026, 0, 1, 1)])
    await test.close()
  })

  it.each<[string, object, RegExp]>([
    ['of no type', { worker: 'w' }, /type/],
    ['with two targets', { type: 'manual', worker: 'w', flow: 'f' }, /one of flow and worker/],
    ['with an option nobody knows', { type: 'manual', fliter: () => true }, /fliter/],
    ['with an option of another type', { type: 'manual', path: 'x' }, /path/],
    ['with a filter that is none', { type: 'manual', filter: 'yes' }, /function/],
    ['with a path that is none', { type: 'webhook', path: '/a b', verify: 'none' }, /path/],
    ['with a rate limit of nothing', { type: 'manual', rateLimit: { max: 0, duration: 1 } }, /max/],
  ])('are refused %s', async (_what, trigger, message) => {
    const config: Record<string, object> = { triggers: { t: trigger } }
    await expect(createTestKernel({ config })).rejects.toMatchObject({
      cause: { code: 'TRIGGER_INVALID', message: expect.stringMatching(message) },
    })
  })

  it('are rejected with an invalid schedule', async () => {
    const triggers: KernelConfig['triggers'] = { t: { type: 'schedule', cron: '99 * * * *', worker: 'w' } }
    await expect(createTestKernel({ config: { triggers } })).rejects.toMatchObject({ code: 'SCHEDULE_INVALID' })
  })
})

describe('triggers of a worker', () => {
  it('are known before the kernel starts, by its id', async () => {
    await using test = await createTestKernel()
    await test.kernel.registerWorker({
      id: 'late',
      config: {
        trigger: [
          { type: 'manual' },
          { type: 'event', event: 'e' },
          { type: 'webhook', path: 'p', verify: 'none', name: 'named' },
        ],
      },
      handler: () => {},
    })
    const own = [{ id: 'worker:late', worker: 'late' }]
    expect(test.kernel.triggers()).toMatchObject([
      { name: 'late', type: 'manual', subscriptions: own },
      { name: 'late.1', type: 'event', event: 'e', subscriptions: own },
      { name: 'named', type: 'webhook', path: 'p', url: undefined, subscriptions: own },
    ])
  })

  it('are removed with the worker that is replaced', async () => {
    const ran: unknown[] = []
    await using test = await createTestKernel()
    const register = (every: number | undefined) =>
      test.kernel.registerWorker(
        {
          id: 'w',
          config: { trigger: every === undefined ? [] : { type: 'schedule', every } },
          handler: ({ createdAt }) => void ran.push(createdAt),
        },
        { replace: true },
      )
    await register(60_000)
    await test.advance('2m')
    await register(undefined)
    await test.advance('10m')
    expect(ran).toHaveLength(2)
    expect(test.kernel.triggers()).toEqual([])
  })

  it('share no name and no path', async () => {
    const worker = (trigger: object) => ({ config: { trigger: trigger as { type: 'manual' } }, handler: () => {} })
    const start = (a: object, b: object) => createTestKernel({ workers: { a: worker(a), b: worker(b) } })
    await expect(start({ type: 'manual', name: 'x' }, { type: 'manual', name: 'x' })).rejects.toMatchObject({
      code: 'TRIGGER_INVALID',
      message: expect.stringContaining('Two triggers are called "x"'),
    })
    const hook = { type: 'webhook', path: 'p', verify: 'none' }
    await expect(start(hook, hook)).rejects.toThrow('Two webhooks have the path "p"')
  })
})

describe('a subscription', () => {
  it('needs a trigger, one target and a unique id', async () => {
    const { test, ran } = await openRecording({ triggers: { t: { type: 'manual', worker: 'w' } } })
    const { kernel } = test
    expect(() => kernel.subscribeTrigger('other', { worker: 'w' })).toThrow(/no trigger "other".*Known: t/)
    expect(() => kernel.subscribeTrigger('t', {})).toThrow('one of flow and worker')
    expect(() => kernel.subscribeTrigger('t', { worker: 'w' })).toThrow('Give the new subscription another "id"')
    kernel.subscribeTrigger('t', { worker: 'w', id: 'second', transform: () => 'second' })
    await kernel.emitTrigger('t', 'first')
    await test.drain()
    expect(ran).toEqual(['first', 'second'])
    await test.close()
  })
})

describe('a registered trigger', () => {
  it('can be removed, with its schedule and subscriptions', async () => {
    const { test, ran } = await openRecording()
    const { kernel } = test
    await kernel.registerTrigger({ name: 't', type: 'schedule', every: 60_000 })
    kernel.subscribeTrigger('t', { worker: 'w' })
    await expect(kernel.registerTrigger({ name: 't', type: 'manual' })).rejects.toMatchObject({
      code: 'TRIGGER_INVALID',
    })
    await test.advance('1m')
    expect([kernel.unregisterTrigger('t'), kernel.unregisterTrigger('t')]).toEqual([true, false])
    await test.advance('5m')
    expect(ran).toHaveLength(1)
    await kernel.registerTrigger({ name: 't', type: 'manual' })
    expect(kernel.triggers()).toEqual([{ name: 't', type: 'manual', subscriptions: [] }])
    await test.close()
  })

  it('that is unknown to the process of its event is retried until it is known', async () => {
    const { test, ran } = await openRecording()
    const { kernel } = test
    await kernel.registerTrigger({ name: 't', type: 'manual', worker: 'w' })
    await kernel.port('queue').pause('_triggers')
    await kernel.emitTrigger('t', 'kept')
    kernel.unregisterTrigger('t')
    await kernel.port('queue').resume('_triggers')
    await test.advance('10s')
    expect(ran).toEqual([])
    await kernel.registerTrigger({ name: 't', type: 'manual', worker: 'w' })
    await test.advance('1m')
    expect(ran).toEqual(['kept'])
    await test.close()
  })

  it('with a filter that always fails finally reports it', async () => {
    const { test } = await openRecording()
    const filter = (): boolean => {
      throw new Error('broken filter')
    }
    await test.kernel.registerTrigger({ name: 't', type: 'manual', filter, worker: 'w' })
    await test.kernel.emitTrigger('t', 1)
    await test.advance('1h')
    expect(await test.kernel.triggerHistory('t')).toMatchObject([
      { type: 'refused', reason: 'FAILED', message: 'broken filter', payload: 1 },
    ])
    await test.close()
  })
})

describe('a webhook', () => {
  const verify = 'none'

  it('has a URL if the application has one', async () => {
    const { test } = await openRecording({
      webhooks: { baseUrl: 'https://example.com/api/' },
      triggers: { t: { type: 'webhook', path: 'a/b', verify } },
    })
    expect(test.kernel.triggers()[0]!.url).toBe('https://example.com/api/triggers/a/b')
    await test.close()
  })

  it('passes JSON, forms and text, or the value that its trigger reads from the request', async () => {
    const { test, ran } = await openRecording({
      triggers: {
        plain: { type: 'webhook', path: 'plain', verify, worker: 'w' },
        read: {
          type: 'webhook',
          path: 'read',
          verify,
          id: ({ body }: WebhookFacts<{ n: number }>) => `n${body.n}`,
          payload: ({ headers, query, body }: { headers: Headers; query: URLSearchParams; body: unknown }) => [
            headers.get('x-github-event'),
            query.get('q'),
            body,
          ],
          worker: 'w',
        },
      },
    })
    await post(test, 'plain', json({ n: 1 }, { 'content-type': 'application/vnd.api+json' }))
    await post(test, 'plain', { body: new URLSearchParams({ a: 'b c' }) })
    await post(test, 'plain', { body: 'text' })
    await post(test, 'plain', {})
    await test.drain()
    expect(ran.splice(0)).toEqual([{ n: 1 }, { a: 'b c' }, 'text', undefined])
    const read = await post(test, 'read?q=2', json({ n: 1 }, { 'x-github-event': 'push' }))
    expect(read).toEqual({ status: 202, body: { id: 'n1', deduplicated: false } })
    await test.drain()
    expect(ran).toEqual([['push', '2', { n: 1 }]])
    await test.close()
  })

  it('reports mistakes to its sender by status and code', async () => {
    const { test, ran } = await openRecording({
      webhooks: { maxBody: 100 },
      triggers: {
        t: {
          type: 'webhook',
          path: 't',
          verify,
          input: z.object({ n: z.number() }),
          rateLimit: { max: 1, duration: 10_000 },
          worker: 'w',
        },
        read: {
          type: 'webhook',
          path: 'read',
          verify,
          id: ({ body }: WebhookFacts<{ id: string }>) => body.id,
          worker: 'w',
        },
      },
    })
    const failing = (code: string) => ({ error: { code, message: expect.any(String) } })
    expect(await post(test, 'other', {})).toEqual({ status: 404, body: failing('TRIGGER_UNKNOWN') })
    expect(await post(test, 't', { method: 'PUT' })).toEqual({ status: 405, body: failing('METHOD_UNKNOWN') })
    const broken = { body: '{"n":', headers: { 'content-type': 'application/json' } }
    expect(await post(test, 't', broken)).toEqual({ status: 400, body: failing('REQUEST_INVALID') })
    expect(await post(test, 'read', {})).toEqual({ status: 400, body: failing('REQUEST_INVALID') })
    expect(await post(test, 'read', json({ id: '' }))).toEqual({ status: 400, body: failing('REQUEST_INVALID') })
    expect(await post(test, 't', { body: 'x'.repeat(101) })).toEqual({
      status: 413,
      body: failing('PAYLOAD_TOO_LARGE'),
    })
    expect(await post(test, 't', json({ n: 'x' }))).toEqual({ status: 422, body: failing('VALIDATION_FAILED') })
    expect(await post(test, 't', json({ n: 1 }))).toMatchObject({ status: 202 })
    const limited = await test.kernel.webhooks.fetch(new Request(`${HOOKS}t`, { method: 'POST', ...json({ n: 2 }) }))
    expect([limited.status, Number(limited.headers.get('retry-after'))]).toEqual([429, 10])
    await test.drain()
    expect(ran).toEqual([{ n: 1 }])
    await test.close()
  })
})

describe('the history of a trigger', () => {
  it('keeps the newest thousand entries, without large payloads', async () => {
    const { test } = await openRecording({ triggers: { t: { type: 'manual' } } })
    const { kernel } = test
    await kernel.emitTrigger('t', 'x'.repeat(20_000), { id: 'large' })
    await test.drain()
    expect(await kernel.triggerHistory('t')).toEqual([
      { type: 'fired', at: test.clock.now(), id: 'large', key: '', started: [] },
    ])
    for (let n = 0; n < 1200; n++) await kernel.emitTrigger('t', n, { id: `n${n}` })
    await test.drain()
    const records = await kernel.triggerHistory('t', { limit: 5000 })
    expect([records.length, records[0]!.id, records.at(-1)!.id]).toEqual([1000, 'n1199', 'n200'])
    expect(await kernel.triggerHistory('t', { limit: 2 })).toMatchObject([{ id: 'n1199' }, { id: 'n1198' }])
    await test.close()
  })

  it('counts a flood of refused requests in one record a second', async () => {
    const verify = { type: 'bearer', secret: 'open sesame' } as const
    const { test } = await openRecording({ triggers: { t: { type: 'webhook', path: 't', verify, worker: 'w' } } })
    for (let n = 0; n < 9; n++) expect(await post(test, 't', {})).toMatchObject({ status: 401 })
    await test.advance('1s')
    await post(test, 't', {})
    const refused = { type: 'refused', id: '', verified: false, reason: 'WEBHOOK_REFUSED' }
    const records = await test.kernel.triggerHistory('t')
    expect(records).toMatchObject([{ ...refused, count: 9 }, refused])
    expect(records[1]).not.toHaveProperty('count')
    await test.close()
  })

  it('stores decisions of operators in a bounded stream that a new instance reads', async () => {
    let inner: PluginKernel | undefined
    const plugin = definePlugin({ name: 'inner', setup: (kernel) => void (inner = kernel) })
    const test = await createTestKernel({ plugins: [plugin] })
    const decisions = () => createSharedDecisions<string>(inner!, 'thing')
    const [one, other] = [decisions(), decisions()]
    for (let n = 0; n < 150; n++) {
      await one.decide(`saved-${n % 3}`, { verb: 'saved', saved: `value ${n}` })
      await other.decide(`paused-${n}`, { verb: n % 2 === 0 ? 'paused' : 'removed' })
    }
    for (let at = 0; at < 7; at++) await one.decide('saved-0', { verb: 'started', id: `run-${at}`, at })
    const kept = await errorOf(() => test.kernel.port('events').read('_things'))
    expect(Number(kept?.details?.trimmed)).toBeGreaterThan(200)
    const [known, read] = [await other.current(), await decisions().current()]
    expect([...read]).toEqual([...known])
    expect(read.get('saved-0')).toEqual({
      ...{ saved: 'value 147', removed: false, paused: false },
      starts: [6, 5, 4, 3, 2].map((at) => ({ id: `run-${at}`, at })),
    })
    await test.close()
  })

  it('returns an entry once that was recorded twice, and is not a run', async () => {
    const { test } = await openRecording({ triggers: { t: { type: 'manual' } } })
    const { kernel } = test
    await kernel.emitTrigger('t', 1, { id: 'e' })
    await test.drain()
    const [event] = await kernel.port('events').read('trigger:t')
    await kernel.port('events').append('trigger:t', [{ type: event!.type, data: event!.data }])
    expect(await kernel.triggerHistory('t')).toHaveLength(1)
    expect(await kernel.port('events').runs.get('trigger:t')).toBeUndefined()
    await test.close()
  })
})

describe('a webhook that is saved at run time', () => {
  const NAME = 'NUXT_QUEUE_WEBHOOK_TEST'
  const verify = { type: 'bearer', secretEnv: NAME } as const
  const bearer = (secret: string): RequestInit => json({ n: 1 }, { authorization: `Bearer ${secret}` })
  const withEnv = (values: Record<string, string>): void => {
    for (const [name, value] of Object.entries(values)) vi.stubEnv(name, value)
    onTestFinished(() => void vi.unstubAllEnvs())
  }

  it('starts its target for requests with the secret of an environment variable', async () => {
    withEnv({ [NAME]: 'first', [`${NAME}_2`]: 'second' })
    const { test, ran } = await openRecording()
    const { kernel } = test
    await kernel.saveTrigger('hook', { type: 'webhook', path: 'hook', verify, worker: 'w' })
    expect(await post(test, 'hook', bearer('wrong'))).toMatchObject({ status: 401 })
    expect(await post(test, 'hook', bearer('first'))).toMatchObject({ status: 202 })
    const both = { ...verify, secretEnv: [NAME, `${NAME}_2`] }
    await kernel.saveTrigger('hook', { type: 'webhook', path: 'hook', verify: both, worker: 'w' })
    expect(await post(test, 'hook', bearer('second'))).toMatchObject({ status: 202 })
    await test.drain()
    expect(ran).toEqual([{ n: 1 }, { n: 1 }])
    expect(await kernel.triggerDetails()).toMatchObject([
      { name: 'hook', path: 'hook', verify: both, source: 'shared' },
    ])
    expect(JSON.stringify(await kernel.triggerDetails())).not.toMatch(/first|second/)

    vi.stubEnv(NAME, '')
    vi.stubEnv(`${NAME}_2`, '')
    expect(await post(test, 'hook', bearer(''))).toMatchObject({
      status: 503,
      body: { error: { code: 'WEBHOOK_REFUSED' } },
    })
    withEnv({ [NAME]: 'first' })
    await kernel.pauseTrigger('hook')
    expect(await post(test, 'hook', bearer('first'))).toMatchObject({ status: 503 })
    await kernel.removeTrigger('hook')
    expect(await post(test, 'hook', bearer('first'))).toMatchObject({ status: 404 })
    await test[Symbol.asyncDispose]()
  })

  it('is refused with a secret, another variable, one that is not set, or a path that is taken', async () => {
    withEnv({ [NAME]: 'not base64!', PASSWORD: 'of the database' })
    await using test = await createTestKernel({ workers: { w: () => {} } })
    const { kernel } = test
    const save = async (given: object, path = 'hook', name = 'hook') =>
      (await errorOf(() => kernel.saveTrigger(name, { type: 'webhook', path, verify: given as never, worker: 'w' })))
        ?.message
    expect(await save({ type: 'bearer', secret: 'x', secretEnv: NAME })).toMatch('Everybody who may read triggers')
    for (const secretEnv of ['PASSWORD', 'nuxt_queue_webhook_x', '', undefined, 1, [], [NAME, 'PASSWORD']])
      expect(await save({ type: 'bearer', secretEnv })).toMatch('begins with NUXT_QUEUE_WEBHOOK_')
    expect(await save({ type: 'bearer', secretEnv: `${NAME}_NONE` })).toMatch('is not set')
    expect(await save({ type: 'standard', secretEnv: NAME })).toMatch('no secret of the form')
    expect(await save({ type: 'hmac', secretEnv: NAME })).toMatch('header')
    for (const other of ['none', null, () => true, { type: 'none' }])
      expect(await save(other as object)).toMatch('invalid')
    expect(await save(verify)).toBeUndefined()
    expect(await save(verify, 'hook', 'other')).toMatch('Trigger "hook" has a webhook at "hook"')
    expect(await save(verify, '../up', 'other')).toMatch('path')
  })
})
