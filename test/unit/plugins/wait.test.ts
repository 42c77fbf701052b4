import { expect, it } from 'vitest'
import { createTestKernel } from '../../../testing/index.ts'

const STREAM = 'wait:tick:'
const LOG = '_wait.log:4:tick:'

it('keeps events without a waiter out of the index of runs, uses one job for many events, and removes everything later', async () => {
  await using test = await createTestKernel({
    config: { wait: { keep: 60_000 }, retention: { completed: { age: 300_000 } } },
  })
  const { kernel } = test
  const events = kernel.port('events')
  const keys = Array.from({ length: 600 }, (_, n) => `k${n}`)
  for (const key of keys) await kernel.sendEvent('tick', 1, { key })
  for (const key of keys.slice(0, 3)) await kernel.sendEvent('tick', 2, { key })
  await test.drain()
  expect(await events.runs.list({ status: 'running' })).toEqual([])
  expect(await events.head(`${LOG}k0`)).toBe(2)
  expect(await events.head(`${LOG}k599`)).toBe(1)
  const jobs = await kernel.port('queue').getJobs({ states: ['delayed'], limit: 100 })
  expect(jobs.length).toBeLessThanOrEqual(16)
  await test.advance('50s')
  expect(await events.head(`${LOG}k599`)).toBe(1)
  await test.advance('30s')
  const heads = await Promise.all(keys.map(async (key) => events.head(LOG + key)))
  expect(heads.filter((head) => head > 0)).toEqual([])
  expect(await kernel.port('queue').getJobs({ states: ['delayed'] })).toEqual([])
  for (const { data } of jobs) expect(await events.head((data as { agenda: string }).agenda)).toBe(0)
})

it('finds its event among many of the same key, and reads each once', async () => {
  const seen: number[] = []
  await using test = await createTestKernel({
    config: { wait: { keep: 60_000 } },
    workers: {
      one: {
        config: {
          awaitBefore: {
            type: 'event',
            event: 'tick',
            filter: (payload: unknown) => seen.push(payload as number) > 0 && payload === 'me',
          },
        },
        handler: (_job, ctx) => ctx.awaited?.payload,
      },
    },
  })
  const { kernel } = test
  const events = kernel.port('events')
  for (let n = 0; n < 600; n++) await events.append(LOG, [{ type: 'wait.event', data: { id: `${n}`, payload: n } }])
  await test.advance('1s')
  const job = await kernel.enqueue('one')
  await test.drain()
  expect(seen).toEqual([])
  for (let n = 0; n < 1100; n++) await events.append(LOG, [{ type: 'wait.event', data: { id: `b${n}`, payload: n } }])
  await kernel.sendEvent('tick', 'not me')
  await test.drain()
  expect(seen).toHaveLength(1101)
  expect(await events.read(STREAM, { types: ['wait.passed'] })).toMatchObject([{ data: { seq: 1701 } }])
  await kernel.sendEvent('tick', 'me')
  await test.drain()
  expect(await kernel.result(job)).toBe('me')
  expect(seen).toHaveLength(1102)
})

it('finds events that an earlier release has stored, and maintains its streams', async () => {
  await using test = await createTestKernel({
    config: { wait: { keep: 60_000 } },
    workers: { last: { handler: (_job, ctx) => ctx.step.waitForEvent('tick', { event: 'tick' }) } },
  })
  const { kernel } = test
  const events = kernel.port('events')
  await kernel.port('queue').pause('last')
  const job = await kernel.enqueue('last')
  const run = { status: 'running', name: STREAM, queue: '_wait' } as const
  await events.append(STREAM, [{ type: 'wait.event', data: { id: 'old', payload: 'old' } }], { run })
  await kernel.enqueue('_wait/tidy', { stream: STREAM }, { delay: 60_000 })
  await kernel.port('queue').resume('last')
  await test.drain()
  expect(await kernel.result(job)).toBe('old')
  await test.advance('10m')
  expect(await events.runs.get(STREAM)).toMatchObject({ status: 'completed' })
})

it('bounds a stream with many events, and its list of waits', async () => {
  await using test = await createTestKernel({
    config: { wait: { keep: 60_000 } },
    workers: { last: { handler: (_job, ctx) => ctx.step.waitForEvent('tick', { event: 'tick' }) } },
  })
  const { kernel } = test
  for (let n = 0; n < 100; n++) {
    await kernel.sendEvent('tick', n)
    await test.advance('10s')
  }
  const head = await kernel.port('events').head(LOG)
  expect(head).toBeGreaterThanOrEqual(100)
  await expect(test.events(LOG)).rejects.toMatchObject({ code: 'EVENTS_TRIMMED' })
  expect(await kernel.port('events').read(LOG, { after: head - 6 })).toHaveLength(6)
  const job = await kernel.enqueue('last')
  await test.drain()
  await kernel.sendEvent('tick', 'new')
  await test.drain()
  expect(await kernel.result(job)).toBe('new')
})

it('continues from a snapshot if another instance has trimmed unread events', async () => {
  await using test = await createTestKernel({
    workers: { last: { handler: (_job, ctx) => ctx.step.waitForEvent('tick', { event: 'tick' }) } },
  })
  const { kernel } = test
  const first = await kernel.enqueue('last')
  await test.drain()
  const events = kernel.port('events')
  const waitId = `${first.id}/tick/0`
  await events.append(STREAM, [{ type: 'wait.event', data: { id: 'old', payload: 'old' } }])
  const head = await events.head(STREAM)
  const open = { [waitId]: { runId: first.runId, jobId: first.id, queue: 'default', since: 0 } }
  await events.snapshots.put(STREAM, { reducer: 'wait@1', seq: head, state: { open, events: [], taken: {} } })
  await events.trim(STREAM, head)
  await kernel.sendEvent('tick', 'new')
  await test.drain()
  expect(await kernel.result(first)).toBe('new')
})

it('keeps events that arrived while a wait is open, for as long as it takes', async () => {
  await using test = await createTestKernel({
    config: { wait: { keep: 60_000 } },
    workers: {
      both: {
        config: {
          awaitBefore: {
            all: [
              { type: 'event', event: 'tick' },
              { type: 'event', event: 'tock' },
            ],
          },
        },
        handler: (_job, ctx) => ctx.awaited?.payloads,
      },
    },
  })
  const { kernel } = test
  const job = await kernel.enqueue('both')
  await test.drain()
  await kernel.sendEvent('tick', 'early')
  await test.advance('1h')
  await kernel.sendEvent('tock', 'late')
  await test.drain()
  expect(await kernel.result(job)).toEqual(['early', 'late'])
})

it('removes the stream of a run with the run', async () => {
  await using test = await createTestKernel({
    workers: {
      outer: {
        config: { flow: { name: 'outer', role: 'entry' } },
        handler: (_job, ctx) => ctx.flow.start('inner', 1, { wait: true, id: 'child' }),
      },
      inner: { config: { flow: { name: 'inner', role: 'entry' } }, handler: ({ data }) => data },
    },
  })
  const { kernel } = test
  const { runId } = await kernel.flow('outer').start()
  await test.drain()
  expect(await kernel.flow('outer').result(runId)).toBe(1)
  expect(await kernel.port('events').runs.get('wait:flow.ended:child')).toMatchObject({ status: 'completed' })
})

it('rejects the response to an unknown wait with its reason', async () => {
  await using test = await createTestKernel()
  await expect(test.kernel.resolveWait('no-such-token')).rejects.toMatchObject({ code: 'WAIT_UNKNOWN' })
})

it('gives each call of onAwaitRegister a separate URL, and accepts one response through any of them', async () => {
  const tokens: string[] = []
  await using test = await createTestKernel({
    config: { webhooks: { baseUrl: 'https://example.com/' } },
    workers: {
      asks: {
        config: {
          attempts: 2,
          awaitBefore: { type: 'webhook' },
          onAwaitRegister({ url }) {
            tokens.push(url!.split('/').at(-1)!)
            if (tokens.length === 1) throw new Error('sent, and not on record')
          },
        },
        handler: (_job, ctx) => ctx.awaited?.payload,
      },
    },
  })
  const { kernel } = test
  const job = await kernel.enqueue('asks')
  await test.advance('1m')
  expect(new Set(tokens).size).toBe(2)
  const [first, second] = tokens as [string, string]
  const [key] = first.split('.')
  for (const wrong of [key!, `${key}.`, `${key}.x`, `${first}x`, second.replace(key!, 'other')]) {
    await expect(kernel.resolveWait(wrong)).rejects.toMatchObject({ code: 'WAIT_UNKNOWN' })
  }
  await kernel.resolveWait(first, 'yes')
  await expect(kernel.resolveWait(second, 'no')).rejects.toMatchObject({ code: 'WAIT_OVER' })
  await test.drain()
  expect(await kernel.result(job)).toBe('yes')
})

it('accepts responses to waits of earlier releases, whose URLs end in their key', async () => {
  await using test = await createTestKernel()
  const { kernel } = test
  const wait = { waitId: 'j/(before)/0', since: 0, once: true, runId: 'j', jobId: 'j', queue: 'default' }
  await kernel.port('events').append('wait:webhook:old', [{ type: 'wait.registered', data: wait }])
  await expect(kernel.resolveWait('old.x')).rejects.toMatchObject({ code: 'WAIT_UNKNOWN' })
  await kernel.resolveWait('old', 1)
  await test.drain()
  await expect(kernel.resolveWait('old', 2)).rejects.toMatchObject({ code: 'WAIT_OVER' })
  expect(await kernel.port('events').read('wait:webhook:old', { types: ['wait.event'] })).toMatchObject([
    { data: { payload: 1 } },
  ])
})

it('warns about a worker that waits for a webhook and has no callback for its URL', async () => {
  await using test = await createTestKernel({
    config: { webhooks: { baseUrl: 'https://example.com/' } },
    workers: { mute: { config: { awaitBefore: { type: 'webhook' } }, handler: () => {} } },
  })
  const job = await test.kernel.enqueue('mute')
  await test.drain()
  await expect(test.kernel.result(job)).rejects.toMatchObject({
    code: 'WAIT_INVALID',
    message: expect.stringContaining('onAwaitRegister') as string,
  })
})

it('closes the wait of a job that was removed without closing it', async () => {
  await using test = await createTestKernel({
    workers: { last: { handler: (_job, ctx) => ctx.step.waitForEvent('tick', { event: 'tick' }) } },
  })
  const { kernel } = test
  const job = await kernel.enqueue('last')
  await test.drain()
  await kernel.port('queue').remove(job.queue, job.id)
  await kernel.sendEvent('tick')
  await test.drain()
  expect((await test.events(STREAM)).map(({ type }) => type)).toEqual(['wait.registered', 'wait.closed'])
  expect((await test.events(LOG)).map(({ type }) => type)).toEqual(['wait.event'])
})
