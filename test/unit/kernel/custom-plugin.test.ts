import { expect, it } from 'vitest'
import { definePlugin, type StoredEvent } from '../../../index.ts'
import { createTestKernel } from '../../../testing/index.ts'

declare module 'nuxt-queue' {
  interface RunContext {
    tenant: string
  }
}

const echo = { echo: async (job: { data: unknown }) => job.data }

it('vetoes an enqueue with a reason', async () => {
  const gate = definePlugin({
    name: 'gate',
    setup(kernel) {
      kernel.hook('enqueue', (payload, next) => {
        if ((payload.job.data as { free?: boolean }).free) return next()
        payload.veto = 'credits are used up'
      })
    },
  })
  await using test = await createTestKernel({ workers: echo, plugins: [gate] })
  await expect(test.kernel.enqueue('echo', {})).rejects.toMatchObject({
    code: 'ENQUEUE_VETOED',
    message: expect.stringContaining('credits are used up'),
  })
  await expect(
    test.kernel.enqueueMany([
      { worker: 'echo', data: { free: true } },
      { worker: 'echo', data: {} },
    ]),
  ).rejects.toMatchObject({
    code: 'ENQUEUE_VETOED',
  })
  expect(await test.kernel.port('queue').getJobs()).toEqual([])
  const job = await test.kernel.enqueue('echo', { free: true })
  expect(await test.kernel.result(job)).toEqual({ free: true })
})

it('rewrites data before it is stored', async () => {
  const stamp = definePlugin({
    name: 'stamp',
    setup(kernel) {
      kernel.hook('enqueue', (payload, next) => {
        payload.job.data = { ...(payload.job.data as object), stamped: true }
        return next()
      })
    },
  })
  await using test = await createTestKernel({ workers: echo, plugins: [stamp] })
  const data = { n: 1 }
  const job = await test.kernel.enqueue('echo', data)
  expect(await test.kernel.result(job)).toEqual({ n: 1, stamped: true })
  expect(data).toEqual({ n: 1 })
})

it('handles an enqueue itself', async () => {
  const cache = definePlugin({
    name: 'cache',
    setup(kernel) {
      kernel.hook('enqueue', (payload) => {
        payload.result = { id: 'known', runId: 'known', queue: 'q', name: 'n', deduplicated: true }
      })
    },
  })
  await using test = await createTestKernel({ workers: echo, plugins: [cache] })
  expect(await test.kernel.enqueue('echo')).toMatchObject({ id: 'known', deduplicated: true })
})

it('replaces the result of a dispatch, with or without running the handler', async () => {
  const ran: string[] = []
  const replace = definePlugin({
    name: 'replace',
    setup(kernel) {
      kernel.hook('dispatch', async (dispatch, next) => {
        if (dispatch.job.name === 'skipped') dispatch.result = 'from the plugin'
        else {
          await next()
          dispatch.result = `${String(dispatch.result)}, changed`
        }
      })
    },
  })
  await using test = await createTestKernel({
    workers: { skipped: async () => void ran.push('skipped'), run: async () => (ran.push('run'), 'result') },
    plugins: [replace],
  })
  expect(await test.kernel.result(await test.kernel.enqueue('skipped'))).toBe('from the plugin')
  expect(await test.kernel.result(await test.kernel.enqueue('run'))).toBe('result, changed')
  expect(ran).toEqual(['run'])
})

it('retries inside a dispatch without using up an attempt', async () => {
  let calls = 0
  const retry = definePlugin({
    name: 'retry-inside',
    setup(kernel) {
      kernel.hook('dispatch', async (_dispatch, next) => {
        try {
          await next()
        } catch {
          await next()
        }
      })
    },
  })
  await using test = await createTestKernel({
    workers: {
      flaky: async (job: { attempt: number }) => {
        if (++calls === 1) throw new Error('first time')
        return job.attempt
      },
    },
    plugins: [retry],
  })
  expect(await test.kernel.result(await test.kernel.enqueue('flaky'))).toBe(1)
  expect(calls).toBe(2)
})

it('adds a typed member to the context', async () => {
  const tenants = definePlugin({
    name: 'tenants',
    setup(kernel) {
      kernel.hook('context', async (ctx, next) => {
        ctx.tenant = await Promise.resolve((ctx.job.data as { tenant: string }).tenant)
        await next()
      })
    },
  })
  await using test = await createTestKernel({ plugins: [tenants] })
  await test.kernel.registerWorker({ id: 'who', handler: (_job, ctx) => ctx.tenant.toUpperCase() })
  expect(await test.kernel.result(await test.kernel.enqueue('who', { tenant: 'ada' }))).toBe('ADA')
})

it('redacts events before they are stored and reacts after', async () => {
  const seen: StoredEvent[] = []
  const audit = definePlugin({
    name: 'scrub',
    setup(kernel) {
      kernel.hook('emit', async (payload, next) => {
        for (const event of payload.events) if (event.type === 'user.login') event.data = { password: '[redacted]' }
        await next()
        if (payload.result?.ok) seen.push(...payload.result.events)
      })
    },
  })
  await using test = await createTestKernel({ plugins: [audit] })
  await test.kernel.registerWorker({
    id: 'login',
    handler: async (_job, ctx) => void (await ctx.emit('user.login', { password: 'hunter2' })),
  })
  const job = await test.kernel.enqueue('login')
  await test.kernel.result(job)
  const events = await test.events(job.runId)
  expect(events.map(({ type }) => type)).toEqual(['step.started', 'user.login', 'step.completed'])
  expect(events[1]!.data).toEqual({ password: '[redacted]' })
  expect(seen.map(({ seq, type }) => [seq, type])).toEqual(events.map(({ seq, type }) => [seq, type]))
})

it('drops its own events, but no event of the kernel', async () => {
  const quiet = definePlugin({
    name: 'quiet',
    setup(kernel) {
      kernel.hook('emit', ({ events }, next) =>
        events.some(({ type }) => type === 'noise' || type === 'state.set') ? undefined : next(),
      )
    },
  })
  await using test = await createTestKernel({ plugins: [quiet] })
  await test.kernel.registerWorker({
    id: 'noisy',
    async handler(job, ctx) {
      const stored = await ctx.emit('noise', 1)
      if (job.data === 'state') await ctx.state.set('key', 1)
      return stored === undefined
    },
  })
  expect(await test.kernel.result(await test.kernel.enqueue('noisy'))).toBe(true)
  const refused = await test.kernel.enqueue('noisy', 'state')
  await expect(test.kernel.result(refused)).rejects.toMatchObject({ code: 'EMIT_DROPPED' })
})

it('folds its own event types into the state', async () => {
  const counter = definePlugin({
    name: 'counter',
    setup(kernel) {
      kernel.hook('reduce', ({ events, state }, next) => {
        for (const { type, data } of events) if (type === 'paid') state.paid = Number(state.paid ?? 0) + Number(data)
        return next()
      })
    },
  })
  await using test = await createTestKernel({ plugins: [counter] })
  await test.kernel.registerWorker({
    id: 'pay',
    async handler(_job, ctx) {
      await ctx.emit('paid', 5)
      await ctx.state.set('note', 'x')
      await ctx.emit('paid', 7)
      return ctx.state.get('paid')
    },
  })
  const job = await test.kernel.enqueue('pay')
  expect(await test.kernel.result(job)).toBe(12)
  expect(await test.kernel.state(job.runId)).toEqual({ paid: 12, note: 'x' })
  expect(await test.kernel.state(job.runId, { at: 2 })).toEqual({ paid: 5 })
})
