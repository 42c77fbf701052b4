import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { definePlugin, QueueError } from '../../../kernel/index.ts'
import { createTestKernel } from '../../../testing/index.ts'

describe('kernel.job', () => {
  it('has the methods of a job that another process enqueued', async () => {
    await using test = await createTestKernel({
      workers: {
        double: async (job, ctx) => {
          await ctx.progress(0.5)
          return Number(job.data) * 2
        },
      },
    })
    const { kernel, drain } = test
    const { queue } = await kernel.enqueue('double', 21, { id: 'one', delay: 60_000 })
    const job = kernel.job<number>({ queue, id: 'one' })
    expect([await job.state(), await job.progress()]).toEqual(['delayed', undefined])
    expect((await job.explain()).reasons).toMatchObject([{ code: 'delayed' }])
    expect(await job.promote()).toBe(true)
    await drain()
    expect([await job.result(), await job.progress(), await job.cancel()]).toEqual([42, 0.5, false])
    expect([await job.remove(), await job.state(), await job.remove()]).toEqual([true, undefined, false])
    await kernel.enqueue('double', 3, { id: 'two', delay: 60_000 })
    const second = kernel.job<number>({ queue, id: 'two' })
    expect([await second.cancel({ reason: 'no' }), await second.state()]).toEqual([true, 'cancelled'])
    await second.retry()
    await drain()
    expect(await second.result()).toBe(6)
  })
})

describe('a key that is a string', () => {
  it.each([
    ['concurrencyPerKey', { concurrencyPerKey: { key: 'all', limit: 1 } }],
    ['limits', { limits: [{ concurrency: 1, key: 'all' }] }],
  ])('counts the running jobs of a worker together: %s', async (_option, limit) => {
    let running = 0
    let most = 0
    await using test = await createTestKernel({
      workers: {
        w: {
          config: { concurrency: 9, ...limit },
          handler: async (_job, ctx) => {
            most = Math.max(most, ++running)
            await ctx.state.set('ran', true)
            running--
          },
        },
      },
    })
    await test.kernel.enqueueMany([1, 2, 3].map((data) => ({ worker: 'w', data })))
    await test.drain()
    expect([running, most]).toEqual([0, 1])
    expect(await test.kernel.queue('w').counts()).toMatchObject({ completed: 3 })
  })
  it.each([
    ['rateLimit', { concurrency: 9, rateLimit: { key: 'all', limit: 1, period: 1000 } }, [0, 1000]],
    ['debounce', { debounce: { key: 'all', period: 500 } }, [500]],
    ['throttle', { throttle: { key: 'all', period: 60_000 } }, [0]],
  ])('applies to all jobs of a worker: %s', async (_option, config, expected) => {
    const starts: number[] = []
    await using test = await createTestKernel()
    await test.kernel.registerWorker({ id: 'w', config, handler: () => void starts.push(test.clock.now()) })
    const origin = test.clock.now()
    await test.kernel.enqueueMany([1, 2].map((data) => ({ worker: 'w', data })))
    await test.advance('5s')
    expect(starts.map((at) => at - origin)).toEqual(expected)
  })
  it('forms one batch of all jobs of a worker', async () => {
    const batches: unknown[] = []
    await using test = await createTestKernel()
    await test.kernel.registerWorker({
      id: 'w',
      config: { batch: { size: 2, wait: 1000, key: 'all' } },
      handler: ({ data }) => (batches.push(data), [null, null]),
    })
    await test.kernel.enqueueMany([1, 2].map((data) => ({ worker: 'w', data })))
    await test.advance('5s')
    expect(batches).toEqual([[1, 2]])
  })
  it('is the turn of all jobs of a worker: fairKey', async () => {
    await using test = await createTestKernel({ workers: { w: { config: { fairKey: 'all' }, handler: () => null } } })
    const job = await test.kernel.enqueue('w')
    expect((await job.record())?.options).toMatchObject({ fairKey: 'all' })
  })
})

it('keeps an option of a plugin in retries, copies, dead letters and redriven jobs', async () => {
  const seen: unknown[] = []
  await using test = await createTestKernel()
  const { kernel, drain } = test
  kernel.defineJobOption('region', z.enum(['eu', 'us']))
  await kernel.registerWorker({
    id: 'ship',
    handler: ({ options, attempt }) => {
      seen.push([(options as { region?: string }).region, attempt])
      throw new Error('broken')
    },
  })
  const options: object = { region: 'eu', attempts: 2, deadLetter: 'dead' }
  const job = await kernel.enqueue('ship', 1, options)
  await drain()
  await job.retry()
  await drain()
  expect((await (await job.duplicate()).record())?.options).toMatchObject({ region: 'eu' })
  expect(await kernel.queue('dead').jobs()).toMatchObject([1, 2].map(() => ({ data: { options: { region: 'eu' } } })))
  await drain()
  expect(await kernel.redrive('dead')).toHaveLength(3)
  await drain()
  expect(seen).toEqual(
    [1, 2, 3]
      .flatMap(() => [
        ['eu', 1],
        ['eu', 2],
      ])
      .concat(
        [1, 2, 3].flatMap(() => [['eu', 1]]),
        [1, 2, 3].flatMap(() => [['eu', 2]]),
      ),
  )
})

it('keeps the code and the details of an error of a setup at the top', async () => {
  const cause = new QueueError('STORE_REFUSED', 'read-only', { details: { user: 'ro' } })
  const broken = definePlugin({ name: 'broken', setup: () => Promise.reject(cause) })
  await expect(createTestKernel({ plugins: [broken] })).rejects.toMatchObject({
    code: 'STORE_REFUSED',
    plugin: 'broken',
    details: { user: 'ro' },
    cause,
    message: expect.stringContaining('"broken"'),
  })
})
