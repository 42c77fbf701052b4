import { expect, it } from 'vitest'
import { createTestKernel } from '../../../testing/index.ts'

const STREAM = 'wait:tick:'

it('ends the stream of an event that nobody waits for, once it is too old to be asked for', async () => {
  await using test = await createTestKernel({ config: { wait: { keep: 60_000 } } })
  const { kernel } = test
  await kernel.sendEvent('tick', 1)
  await test.drain()
  expect(await kernel.port('events').runs.get(STREAM)).toMatchObject({ status: 'running', queue: '_wait' })
  await test.advance('5m')
  expect(await kernel.port('events').runs.get(STREAM)).toMatchObject({ status: 'completed' })
})

it('keeps a stream short that many events go through, and whom it serves', async () => {
  await using test = await createTestKernel({
    config: { wait: { keep: 60_000 } },
    workers: { last: { handler: (_job, ctx) => ctx.step.waitForEvent('tick', { event: 'tick' }) } },
  })
  const { kernel } = test
  for (let n = 0; n < 100; n++) {
    await kernel.sendEvent('tick', n)
    await test.advance('10s')
  }
  const head = await kernel.port('events').head(STREAM)
  expect(head).toBeGreaterThanOrEqual(100)
  await expect(test.events(STREAM)).rejects.toMatchObject({ code: 'EVENTS_TRIMMED' })
  expect(await kernel.port('events').read(STREAM, { after: head - 10 })).toHaveLength(10)
  const job = await kernel.enqueue('last')
  await test.drain()
  await kernel.sendEvent('tick', 'new')
  await test.drain()
  expect(await kernel.result(job)).toBe('new')
})

it('goes on from a snapshot where another instance has trimmed what it had not seen', async () => {
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

it('keeps what came while a wait is open, however long that takes', async () => {
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

it('takes the stream of a run that was waited for with it', async () => {
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

it('says what is wrong with the answer to a wait that nobody knows', async () => {
  await using test = await createTestKernel()
  await expect(test.kernel.resolveWait('no-such-token')).rejects.toMatchObject({ code: 'WAIT_UNKNOWN' })
})

it('tells a worker that waits for a webhook and has nobody to tell its URL', async () => {
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

it('closes the wait of a job that has gone without closing it', async () => {
  await using test = await createTestKernel({
    workers: { last: { handler: (_job, ctx) => ctx.step.waitForEvent('tick', { event: 'tick' }) } },
  })
  const { kernel } = test
  const job = await kernel.enqueue('last')
  await test.drain()
  await kernel.port('queue').remove(job.queue, job.id)
  await kernel.sendEvent('tick')
  await test.drain()
  expect((await test.events(STREAM)).map(({ type }) => type)).toEqual(['wait.registered', 'wait.event', 'wait.closed'])
})
