import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { Kernel, StoredEvent, StreamMessage } from '../../../index.ts'
import { createTestKernel } from '../../../testing/index.ts'

/** A follower that records its events, and resolves `reached(seq)` once it has received that event. */
function recorder() {
  const seqs: number[] = []
  const messages: StreamMessage[] = []
  const errors: unknown[] = []
  const batches: (readonly StoredEvent[])[] = []
  const waiting: { seq: number; resolve: () => void }[] = []
  return {
    seqs,
    messages,
    errors,
    batches,
    onEvents(events: readonly StoredEvent[]) {
      batches.push(events)
      for (const { seq } of events) seqs.push(seq)
      for (const one of waiting) if (seqs.includes(one.seq)) one.resolve()
    },
    onMessage: (message: StreamMessage) => void messages.push(message),
    onError: (error: unknown) => void errors.push(error),
    reached(seq: number): Promise<void> {
      const { promise, resolve } = Promise.withResolvers<void>()
      waiting.push({ seq, resolve })
      if (seqs.includes(seq)) resolve()
      return promise
    },
  }
}

const upTo = (last: number): number[] => Array.from({ length: last }, (_, index) => index + 1)
const append = (kernel: Kernel, count: number, stream = 'run') =>
  kernel.port('events').append(
    stream,
    Array.from({ length: count }, () => ({ type: 'x' })),
  )

describe('kernel.streams', () => {
  it('replays in pages and continues with live events, without gap or duplicate', async () => {
    await using test = await createTestKernel()
    await append(test.kernel, 1_700)
    const follower = recorder()
    await test.kernel.streams.follow('run', { after: 0 }, { ...follower, onEvents: follower.onEvents })
    for (let round = 0; round < 300; round++) {
      await append(test.kernel, 1)
      if (round % 50 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    await follower.reached(2_000)
    expect(follower.seqs).toEqual(upTo(2_000))
  })

  it('shares one subscription between all followers, and ends it with the last one', async () => {
    await using test = await createTestKernel()
    const store = test.kernel.port('events')
    const { subscribe } = store
    let [opened, left] = [0, 0]
    store.subscribe = async (...args) => {
      opened++
      const stop = await subscribe(...args)
      return () => {
        left++
        stop()
      }
    }
    const followers = upTo(50).map(recorder)
    const leave = await Promise.all(followers.map((one) => test.kernel.streams.follow('run', {}, one)))
    await append(test.kernel, 3)
    await Promise.all(followers.map((one) => one.reached(3)))
    expect(new Set(followers.map(({ batches }) => batches[0])).size).toBe(1)
    for (const go of leave.slice(1)) go()
    expect([opened, left]).toEqual([1, 0])
    leave[0]!()
    leave[0]!()
    await new Promise((resolve) => setImmediate(resolve))
    expect([opened, left]).toEqual([1, 1])
  })

  it('does not delay other followers if one replays slowly or throws', async () => {
    await using test = await createTestKernel()
    await append(test.kernel, 1_500)
    const slow = recorder()
    const taken = Promise.withResolvers<void>()
    const others = [recorder(), recorder()]
    await test.kernel.streams.follow(
      'run',
      { after: 0 },
      {
        onEvents: (events) => {
          slow.onEvents(events)
          return taken.promise
        },
      },
    )
    await test.kernel.streams.follow('run', {}, { onEvents: () => Promise.reject(new Error('broken')) })
    await test.kernel.streams.follow('run', { after: 0 }, others[0]!)
    await test.kernel.streams.follow('run', {}, others[1]!)
    await append(test.kernel, 1)
    await Promise.all(others.map((one) => one.reached(1_501)))
    expect(slow.seqs).toHaveLength(500)
    taken.resolve()
    await slow.reached(1_501)
    expect(slow.seqs).toEqual(upTo(1_501))
    expect(others[0]!.seqs).toEqual(upTo(1_501))
    expect(others[1]!.seqs).toEqual([1_501])
  })

  it('reports trimmed events to their follower and keeps the others', async () => {
    await using test = await createTestKernel()
    const store = test.kernel.port('events')
    await append(test.kernel, 5)
    await store.snapshots.put('run', { reducer: 'r', seq: 3, state: {} })
    await store.trim('run', 3)
    const failed = Promise.withResolvers<unknown>()
    const kept = recorder()
    const broken = recorder()
    await test.kernel.streams.follow('run', { after: 0 }, { ...broken, onError: failed.resolve })
    await test.kernel.streams.follow('run', { after: 3 }, kept)
    expect(await failed.promise).toMatchObject({ code: 'EVENTS_TRIMMED' })
    await kept.reached(5)
    expect(broken.seqs).toEqual([])
  })

  it('forwards messages except those between plugins, and sends the newest progress to later followers', async () => {
    await using test = await createTestKernel({
      workers: {
        works: async (_job, ctx) => {
          await ctx.progress(0.25, 'a quarter')
          await ctx.client.send('token', { text: 'x' })
          await ctx.progress(0.5, 'half')
        },
      },
    })
    const [early, late, every] = [recorder(), recorder(), recorder()]
    await test.kernel.streams.follow('run', {}, early)
    await test.kernel.streams.follow('*', {}, every)
    const job = await test.kernel.enqueue('works', null, { id: 'job', runId: 'run' })
    await test.kernel.result(job)
    await test.kernel.port('events').publish('run', [{ type: '_secret' }])
    await test.kernel.streams.follow('run', {}, late)
    expect(early.messages.map(({ type }) => type)).toEqual(['progress', 'client', 'progress'])
    expect(every.messages).toEqual(early.messages)
    expect(late.messages).toEqual([
      { type: 'progress', data: { jobId: 'job', step: 'works', value: 0.5, message: 'half' } },
    ])
  })

  it('counts followers of a run, and rejects invalid streams', async () => {
    await using test = await createTestKernel()
    const { streams } = test.kernel
    expect(await streams.hasSubscribers('run')).toBe(false)
    const leave = await streams.follow('run', {}, recorder())
    expect(await streams.hasSubscribers('run')).toBe(true)
    leave()
    expect(await streams.hasSubscribers('run')).toBe(false)
    for (const after of [-1, 1.5, NaN, '', 'x']) {
      await expect(streams.follow('run', { after }, recorder())).rejects.toMatchObject({ code: 'OPTION_INVALID' })
    }
    await expect(streams.follow('*', { after: 'x' }, recorder())).rejects.toMatchObject({ code: 'OPTION_UNSUPPORTED' })
  })

  it('stores messages that were not awaited before their job completes, unless they are rejected', async () => {
    await using test = await createTestKernel({
      workers: {
        sends: (_job, ctx) => {
          void ctx.client.send('answer', 'kept', { store: true })
        },
        refused: async (_job, ctx) => {
          const sent = ctx.client.send('big', 'x'.repeat(2 ** 21), { store: true })
          return sent.catch((error: { code: string }) => error.code)
        },
      },
    })
    const job = await test.kernel.enqueue('sends')
    await test.kernel.result(job)
    expect((await test.events(job.runId)).map(({ type }) => type).slice(-2)).toEqual([
      'client.message',
      'step.completed',
    ])
    expect(await test.kernel.result(await test.kernel.enqueue('refused'))).toBe('PAYLOAD_TOO_LARGE')
  })

  it.each([
    ['a schema for all', z.object({})],
    ['no schema', { token: 'string' }],
    ['nothing', { token: { schema: undefined } }],
    ['another store', { token: { schema: z.string(), store: 'yes' } }],
  ])('does not start a worker whose client messages are described by %s', async (_what, client) => {
    await using test = await createTestKernel()
    const registered = test.kernel.registerWorker({ id: 'w', config: { client: client as never }, handler: () => {} })
    await expect(registered).rejects.toMatchObject({ code: 'WORKER_INVALID' })
  })

  it('closes with the kernel', async () => {
    const test = await createTestKernel()
    const follower = recorder()
    await test.kernel.streams.follow('run', {}, follower)
    await test.kernel.close()
    expect(follower.errors).toMatchObject([{ code: 'KERNEL_CLOSED' }])
    await expect(test.kernel.streams.follow('run', {}, follower)).rejects.toMatchObject({ code: 'KERNEL_CLOSED' })
  })
})
