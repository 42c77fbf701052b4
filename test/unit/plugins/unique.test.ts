import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { createTestKernel, type TestKernel } from '../../../testing/index.ts'

let test: TestKernel
let ran: unknown[]

beforeEach(async () => {
  test = await createTestKernel()
  onTestFinished(() => test.close())
  ran = []
})

const record = ({ data }: { data: unknown }): void => void ran.push(data)

describe('a unique job', () => {
  it('can be enqueued again after it was removed, or could not be stored', async () => {
    const { kernel } = test
    await kernel.registerWorker({ id: 'w', config: { queue: 'w', unique: {} }, handler: record })
    await kernel.queue('w').pause()
    const removed = await kernel.enqueue('w', 'removed')
    await removed.remove()
    const queue = kernel.port('queue')
    const { enqueue } = queue
    queue.enqueue = () => {
      queue.enqueue = enqueue
      throw new Error('The connection broke.')
    }
    await expect(kernel.enqueue('w', 'refused')).rejects.toThrow('The connection broke.')
    const stored = await kernel.enqueue('w', 'stored')
    expect([stored.deduplicated, (await kernel.enqueue('w', 'again')).deduplicated]).toEqual([false, true])
    await kernel.queue('w').resume()
    await test.advance('1s')
    expect(ran).toEqual(['stored'])
  })

  it('does not continue a job that was removed after its first attempt, or take the data that it would have had', async () => {
    const { kernel } = test
    const unique = { key: 'all', replace: ['data'] } as const
    await kernel.registerWorker({
      id: 'w',
      config: { queue: 'w', attempts: 2, backoff: 60_000, unique },
      handler: async ({ data }, ctx) => {
        ran.push([data, await ctx.step.run('once', () => data)])
        if (data === 'fails') throw new Error('once')
      },
    })
    const failed = await kernel.enqueue('w', 'fails')
    await test.advance(10)
    await failed.remove()
    await kernel.queue('w').pause()
    const replaced = await kernel.enqueue('w', 'first')
    await kernel.enqueue('w', 'replaced')
    await replaced.remove()
    const next = await kernel.enqueue('w', 'next')
    expect(new Set([failed.id, replaced.id, next.id]).size).toBe(3)
    await kernel.queue('w').resume()
    await test.advance(10)
    expect(ran).toEqual([
      ['fails', 'fails'],
      ['next', 'next'],
    ])
  })

  it('takes newer data until it begins, also while a limit holds it back, and keeps its data in later attempts', async () => {
    const { kernel } = test
    const gate = Promise.withResolvers<void>()
    const config = {
      ...{ queue: 'w', concurrency: 2, attempts: 2, backoff: 1000 },
      concurrencyPerKey: { key: 'all', limit: 1 },
      unique: { key: (data: string) => data.split(' ')[0]!, replace: ['data'] },
    } as const
    await kernel.registerWorker({
      id: 'w',
      config,
      handler: async (job) => {
        record(job)
        if (job.data === 'first') await gate.promise
        else if (job.attempt === 1) throw new Error('once')
      },
    })
    await kernel.enqueue('w', 'first')
    await test.advance(10)
    const held = await kernel.enqueue('w', 'key 1')
    await test.advance(10)
    expect(await held.state()).toBe('delayed')
    expect(await kernel.enqueue('w', 'key 2')).toMatchObject({ id: held.id, deduplicated: true })
    gate.resolve()
    await test.advance(500)
    expect(await kernel.enqueue('w', 'key 3')).toMatchObject({ id: held.id, deduplicated: true })
    await test.advance('5s')
    expect(ran).toEqual(['first', 'key 2', 'key 2'])
  })
})
