import { expect, it } from 'vitest'
import { z } from 'zod'
import { defineQueueConfig } from '../../../index.ts'
import { createTestKernel } from '../../../testing/index.ts'

const config = defineQueueConfig({
  state: z.object({ count: z.number().int().default(10), tags: z.array(z.string()), name: z.string().trim() }),
})

it('rejects values that its schema rejects, without an event', async () => {
  await using test = await createTestKernel()
  await test.kernel.registerWorker({
    id: 'checked',
    config,
    async handler(job, ctx) {
      const write =
        job.data === 'batch'
          ? ctx.state.setBatch({ name: 'fine', count: 1.5 })
          : ctx.state.set('count', 'many' as never)
      await write.catch(() => {})
    },
  })
  for (const kind of ['single', 'batch']) {
    const job = await test.kernel.enqueue('checked', kind)
    await test.drain()
    expect((await test.events(job.runId)).map(({ type }) => type)).toEqual(['step.started', 'step.failed'])
    await expect(test.kernel.result(job)).rejects.toMatchObject({
      code: 'VALIDATION_FAILED',
      message: expect.stringContaining('state "count"'),
    })
  }
})

it('lists the known keys for an unknown key', async () => {
  await using test = await createTestKernel()
  await test.kernel.registerWorker({ id: 'odd', config, handler: (_job, ctx) => ctx.state.set('cuont' as 'count', 1) })
  await expect(test.kernel.result(await test.kernel.enqueue('odd'))).rejects.toThrow(
    /no key "cuont". It has: count, tags, name/,
  )
})

it('stores the parsed value and returns defaults of the schema', async () => {
  await using test = await createTestKernel()
  await test.kernel.registerWorker({
    id: 'parsed',
    config,
    async handler(_job, ctx) {
      const before = [await ctx.state.get('count'), await ctx.state.has('count')]
      await ctx.state.set('name', '  Ada ')
      await ctx.state.update('count', (count = 0) => count + 1)
      return [before, await ctx.state.get('name'), await ctx.state.get('count'), await ctx.state.get('tags')]
    },
  })
  const job = await test.kernel.enqueue('parsed')
  expect(await test.kernel.result(job)).toEqual([[10, false], 'Ada', 11, undefined])
})

it('returns copies', async () => {
  await using test = await createTestKernel()
  await test.kernel.registerWorker({
    id: 'copies',
    async handler(_job, ctx) {
      const list = ['a']
      await ctx.state.set('list', list)
      list.push('b')
      ;((await ctx.state.get('list')) as string[]).push('c')
      ;((await ctx.state.getAll()).list as string[]).push('d')
      return ctx.state.get('list')
    },
  })
  const job = await test.kernel.enqueue('copies')
  expect(await test.kernel.result(job)).toEqual(['a'])
  const state = await test.kernel.state(job.runId)
  ;(state.list as string[]).push('e')
  expect(await test.kernel.state(job.runId)).toEqual({ list: ['a'] })
})

it('waits for writes that the handler has not awaited, and fails with them', async () => {
  await using test = await createTestKernel()
  await test.kernel.registerWorker({
    id: 'hasty',
    config: { state: z.object({ n: z.number() }) },
    handler(job, ctx) {
      void ctx.state.set('n', job.data as number)
      return 'returned'
    },
  })
  const good = await test.kernel.enqueue('hasty', 1)
  expect(await test.kernel.result(good)).toBe('returned')
  expect(await test.kernel.state(good.runId)).toEqual({ n: 1 })
  await expect(test.kernel.result(await test.kernel.enqueue('hasty', 'one'))).rejects.toMatchObject({
    code: 'VALIDATION_FAILED',
  })
})

it('rejects writes after the run has ended', async () => {
  const late = Promise.withResolvers<unknown>()
  await using test = await createTestKernel()
  await test.kernel.registerWorker({
    id: 'late',
    handler(_job, ctx) {
      setImmediate(() => setImmediate(() => late.resolve(ctx.state.set('x', 1).catch((error: unknown) => error))))
    },
  })
  const job = await test.kernel.enqueue('late')
  expect(await late.promise).toMatchObject({ code: 'RUN_ENDED' })
  expect(await test.kernel.state(job.runId)).toEqual({})
})
