import { expect, it } from 'vitest'
import { z } from 'zod'
import { createBoundedStream } from '../../../plugins/lib/bounded-stream.ts'
import { codeOf, errorOf } from '../harness.ts'
import type { Handler, PresetTest, Worker } from './rig.ts'

const entry = (handler: Handler): Worker => [{ flow: { name: 'f', role: 'entry' } }, handler]

/** Tests triggers, which start flows and workers from outside. */
export function triggerTests(test: PresetTest): void {
  it(
    'starts flows and workers with the payload after filter and transform',
    test(async ({ kernel, start, until }) => {
      const ran: [string, unknown][] = []
      const note =
        (name: string) =>
        ({ data }: { data: unknown }) =>
          void ran.push([name, data])
      await start({ first: entry(note('flow')), a: note('a'), b: note('b') })
      await kernel.registerTrigger({
        name: 'orders',
        type: 'manual',
        input: z.object({ total: z.coerce.number() }),
        filter: (order: { total: number }) => order.total > 0,
        transform: (order: { total: number }, { id, key }) => ({ ...order, id, key }),
        flow: 'f',
      })
      kernel.subscribeTrigger('orders', { worker: 'a', transform: (order: { total: number }) => order.total })
      kernel.subscribeTrigger('orders', { worker: 'b', filter: (order: { total: number }) => order.total > 100 })
      await kernel.emitTrigger('orders', { total: '7' }, { id: 'o1', key: 'k' })
      await kernel.emitTrigger('orders', { total: '0' }, { id: 'o2' })
      const history = await until('the history is complete', async () => {
        const records = await kernel.triggerHistory('orders')
        return records.length === 2 && records
      })
      await until('both have run', () => ran.length >= 2)
      const byName = new Map(ran)
      expect([ran.length, byName.get('a'), byName.get('flow')]).toEqual([2, 7, { total: 7, id: 'o1', key: 'k' }])
      expect(new Map(history.map((record) => [record.id, record]))).toEqual(
        new Map([
          ['o2', expect.objectContaining({ type: 'refused', reason: 'FILTERED', payload: { total: '0' } })],
          [
            'o1',
            expect.objectContaining({
              type: 'fired',
              key: 'k',
              started: [
                expect.objectContaining({ subscription: 'flow:f', runId: expect.any(String) }),
                expect.objectContaining({ subscription: 'worker:a', queue: 'a' }),
                expect.objectContaining({ subscription: 'worker:b', reason: 'FILTERED' }),
              ],
            }),
          ],
        ]),
      )
    }),
  )

  it(
    'starts each target once, even if an event is fired several times',
    test(async ({ kernel, start, until, reach }) => {
      const ran: unknown[] = []
      await start({ w: ({ data }) => void ran.push(data) })
      await kernel.registerTrigger({ name: 't', type: 'manual', worker: 'w' })
      const fired = await Promise.all([1, 2, 3].map((n) => kernel.emitTrigger('t', n, { id: 'same' })))
      expect(fired.filter(({ deduplicated }) => !deduplicated)).toHaveLength(1)
      await reach(await kernel.emitTrigger('t', 'other', { id: 'other' }), 'completed')
      await until('both have run', () => ran.length >= 2)
      await reach(fired[0]!, 'completed')
      expect(await kernel.port('queue').getJobs({ queue: 'w' })).toHaveLength(2)
      expect(ran).toHaveLength(2)
    }),
  )

  it(
    'reports an invalid payload to the caller and records it in the history',
    test(async ({ kernel, start }) => {
      await start({ w: () => {} })
      await kernel.registerTrigger({ name: 't', type: 'manual', input: z.object({ n: z.number() }), worker: 'w' })
      const error = await errorOf(() => kernel.emitTrigger('t', { n: 'one' }, { id: 'bad' }))
      expect(error).toMatchObject({ code: 'VALIDATION_FAILED', message: expect.stringContaining('n: ') })
      expect(await codeOf(() => kernel.emitTrigger('unknown'))).toBe('TRIGGER_UNKNOWN')
      const [record, ...more] = await kernel.triggerHistory('t')
      expect(more).toEqual([])
      expect(record).toMatchObject({
        type: 'refused',
        id: 'bad',
        reason: 'VALIDATION_FAILED',
        message: error!.message,
        payload: { n: 'one' },
      })
      expect((await kernel.port('queue').getJobCounts('_triggers')).waiting).toBe(0)
    }),
  )

  it(
    'starts a worker once for each event of the bus that its config names',
    test(async ({ kernel, start, until }) => {
      const ran: unknown[] = []
      await start({
        w: [{ trigger: { type: 'event', event: 'order.created' } }, ({ data }) => void ran.push(data)],
        first: [
          { flow: { name: 'f', role: 'entry' }, trigger: { type: 'event', event: 'order.created', name: 'other' } },
          ({ data }) => void ran.push(`flow ${String(data)}`),
        ],
      })
      await kernel.sendEvent('order.created', 1, { id: 'e1' })
      await kernel.sendEvent('order.created', 1, { id: 'e1' })
      await kernel.sendEvent('order.gone', 2)
      await kernel.sendEvent('order.created', 3)
      await until('all have run', () => ran.length >= 4)
      expect(ran.map(String).toSorted()).toEqual(['1', '3', 'flow 1', 'flow 3'])
      await until('the history is complete', async () => (await kernel.triggerHistory('w')).length === 2)
      expect(await kernel.triggerHistory('w', { limit: 1 })).toHaveLength(1)
      expect(kernel.triggers().map(({ name }) => name)).toEqual(['w', 'other'])
    }),
  )

  it(
    'starts from a webhook, which responds with the id of the delivery',
    test(async ({ kernel, start, until }) => {
      const ran: unknown[] = []
      await start({ w: ({ data }) => void ran.push(data) })
      const verify = { type: 'bearer', secret: 'open sesame' } as const
      await kernel.registerTrigger({ name: 't', type: 'webhook', path: 'shop/orders', verify, worker: 'w' })
      const post = async (token: string): Promise<unknown[]> => {
        const headers = {
          authorization: `Bearer ${token}`,
          'content-type': 'application/json',
          'idempotency-key': 'd1',
        }
        const url = 'https://example.com/_queue/triggers/shop/orders'
        const response = await kernel.webhooks.fetch(new Request(url, { method: 'POST', headers, body: '{"n":1}' }))
        return [response.status, await response.json()]
      }
      expect(await post('wrong')).toMatchObject([401, { error: { code: 'WEBHOOK_REFUSED' } }])
      expect(await post('open sesame')).toEqual([202, { id: 'd1', deduplicated: false }])
      expect(await post('open sesame')).toEqual([202, { id: 'd1', deduplicated: true }])
      await until('it has run', () => ran.length > 0)
      expect(ran).toEqual([{ n: 1 }])
      const records = await until('the history is complete', async () => {
        const all = await kernel.triggerHistory('t')
        return all.length === 2 && all
      })
      expect(records).toMatchObject([
        { type: 'fired', id: 'd1', verified: true },
        { type: 'refused', id: '', verified: false, reason: 'WEBHOOK_REFUSED' },
      ])
      await kernel.pauseTrigger('t')
      expect(await post('open sesame')).toMatchObject([503, { error: { code: 'TRIGGER_PAUSED' } }])
      expect((await kernel.triggerHistory('t'))[0]).toMatchObject({ reason: 'TRIGGER_PAUSED', payload: { n: 1 } })
    }),
  )

  it(
    'starts by time',
    test(async ({ kernel, start, until, now }) => {
      const ran: unknown[] = []
      await start({ w: ({ data }) => void ran.push(data) })
      const at = now() + 500
      await kernel.registerTrigger({
        name: 't',
        type: 'schedule',
        at,
        data: 'now',
        transform: (data, event) => [data, event.at],
        worker: 'w',
      })
      await until('it has run', () => ran.length > 0)
      expect(ran).toEqual([['now', at]])
      await until('the history is complete', async () => (await kernel.triggerHistory('t')).length > 0)
      expect(await kernel.triggerHistory('t')).toMatchObject([{ type: 'fired', id: String(at) }])
    }),
  )

  it(
    'enforces its rate limit, and delays events whose sender does not retry',
    test(async ({ kernel, start, until }) => {
      const ran: unknown[] = []
      await start({ w: ({ data }) => void ran.push(data) })
      const rateLimit = { max: 2, duration: 400 }
      await kernel.registerTrigger({ name: 't', type: 'event', event: 'e', rateLimit, worker: 'w' })
      for (const n of [1, 2, 3, 4, 5]) await kernel.sendEvent('e', n, { id: `e${n}` })
      await until('all have run', () => ran.length >= 5)
      expect(ran.map(String).toSorted()).toEqual(['1', '2', '3', '4', '5'])
      const once = { max: 1, duration: 60_000 }
      await kernel.registerTrigger({ name: 'm', type: 'manual', rateLimit: once, worker: 'w' })
      await kernel.emitTrigger('m', 'passes')
      const error = await errorOf(() => kernel.emitTrigger('m', 'too much'))
      expect(error).toMatchObject({ code: 'RATE_LIMITED', details: { retryAfter: expect.any(Number) } })
      const reasons = (await kernel.triggerHistory('m')).map(({ reason }) => reason)
      expect(reasons).toContain('RATE_LIMITED')
    }),
  )

  it(
    'starts the other targets if one cannot be started, and starts that one later',
    test(async ({ kernel, start, until }) => {
      const ran: unknown[] = []
      let broken = true
      await start({
        a: [{ input: z.string() }, ({ data }) => void ran.push(data)],
        b: ({ data }) => void ran.push(data),
        c: ({ data }) => void ran.push(data),
      })
      await kernel.registerTrigger({ name: 't', type: 'manual', worker: 'a' })
      const flaky = (): string => {
        if (broken) throw new Error('not yet')
        return 'late'
      }
      kernel.subscribeTrigger('t', { worker: 'b', transform: flaky })
      kernel.subscribeTrigger('t', { worker: 'c' })
      await kernel.emitTrigger('t', 1)
      await until('the last one has run', () => ran.length > 0)
      expect([ran, await kernel.triggerHistory('t')]).toEqual([[1], []])
      broken = false
      const [record] = await until('the history is complete', async () => {
        const records = await kernel.triggerHistory('t')
        return records.length > 0 && records
      })
      await until('the other has run', () => ran.length > 1)
      expect(ran).toEqual([1, 'late'])
      expect(record!.started).toMatchObject([{ reason: 'VALIDATION_FAILED' }, { queue: 'b' }, { queue: 'c' }])
    }),
  )

  it(
    'saves, pauses, resumes, removes and restores a trigger for all processes',
    test(async ({ kernel, sibling, start, until }) => {
      const ran: unknown[] = []
      await start({
        w: [{ trigger: { type: 'event', event: 'e', name: 'code' } }, ({ data }) => void ran.push(data)],
        v: ({ data }) => void ran.push(`saved ${String(data)}`),
      })
      const other = await sibling()
      expect(await codeOf(() => other.pauseTrigger('none'))).toBe('TRIGGER_UNKNOWN')
      expect(await codeOf(() => other.saveTrigger('x', { type: 'manual', worker: '_bus/deliver' }))).toBe(
        'NAME_RESERVED',
      )
      expect(await codeOf(() => kernel.saveTrigger('code', { type: 'manual', worker: 'w' }))).toBe('TRIGGER_INVALID')
      expect(await codeOf(() => other.saveTrigger('x', { type: 'manual' }))).toBe('TRIGGER_INVALID')
      const rateLimit = { limit: 100, period: 1000 }
      await other.saveTrigger('more', { type: 'event', event: 'e', worker: 'v', rateLimit })
      await kernel.sendEvent('e', 1)
      await until('both have started', () => ran.length >= 2)
      expect(ran.map(String).toSorted()).toEqual(['1', 'saved 1'])
      const listed = async (name: string) => (await kernel.triggerDetails()).find((one) => one.name === name)
      expect(await listed('more')).toMatchObject({ source: 'shared', event: 'e', rateLimit, paused: false })

      await kernel.pauseTrigger('code')
      await other.pauseTrigger('more')
      expect(await codeOf(() => kernel.emitTrigger('more', 'by hand'))).toBe('TRIGGER_PAUSED')
      await kernel.sendEvent('e', 2)
      const last = async (name: string) => (await listed(name))?.recent[0]?.reason
      await until('both refuse it', async () =>
        [await last('code'), await last('more')].every((one) => one === 'TRIGGER_PAUSED'),
      )
      await kernel.resumeTrigger('code')
      await other.removeTrigger('more')
      await kernel.sendEvent('e', 3)
      await until('the trigger of the code starts again', () => ran.length >= 3)
      expect(await listed('more')).toBeUndefined()
      await kernel.removeTrigger('code')
      expect(await listed('code')).toMatchObject({ source: 'code', removed: true, recent: [{ type: 'fired' }, {}, {}] })
      expect(await codeOf(() => kernel.emitTrigger('code'))).toBe('TRIGGER_UNKNOWN')
      await kernel.sendEvent('e', 4)
      await until('the event is delivered', async () => {
        const { waiting, active } = await kernel.port('queue').getJobCounts('_bus')
        return waiting + active === 0
      })
      await kernel.resumeTrigger('code')
      await kernel.sendEvent('e', 5)
      await until('it is back', () => ran.length >= 4)
      expect(ran.map(String).toSorted()).toEqual(['1', '3', '5', 'saved 1'])
    }),
  )

  it(
    'keeps the newest entries of a history and removes the others',
    test(async ({ kernel }) => {
      const streams = createBoundedStream(kernel, 20)
      const append = (n: number): Promise<unknown> => streams.append('counted', { type: 'counted', data: n })
      for (let n = 0; n < 60; n += 4) await Promise.all([n, n + 1, n + 2, n + 3].map(append))
      const newest = await streams.newest('counted', 100)
      expect(newest.map(({ seq }) => seq)).toEqual(Array.from({ length: 20 }, (_, index) => 60 - index))
      expect((await streams.newest('counted', 3)).map(({ seq }) => seq)).toEqual([60, 59, 58])
      expect(await streams.newest('other', 3)).toEqual([])
      expect(await codeOf(() => kernel.port('events').read('counted', { after: 30 }))).toBe('EVENTS_TRIMMED')
      // A stream with a smaller bound, for example after a change of the configuration, still reads the stored events.
      expect((await createBoundedStream(kernel, 50).newest('counted', 50)).length).toBeGreaterThan(0)
    }),
  )
}
