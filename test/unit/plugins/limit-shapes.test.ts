import { once } from 'node:events'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { createTestKernel, type TestKernel } from '../../../testing/index.ts'

let test: TestKernel
let origin: number
const starts: [key: string, at: number][] = []

interface Data {
  tenant: string
}

beforeEach(async () => {
  test = await createTestKernel()
  onTestFinished(() => test.close())
  origin = test.clock.now()
  starts.length = 0
})

function record({ data }: { data: unknown }): void {
  starts.push([(data as Data).tenant, test.clock.now() - origin])
}

async function enqueue(worker: string, ...tenants: string[]): Promise<boolean[]> {
  const jobs = await test.kernel.enqueueMany(tenants.map((tenant) => ({ worker, data: { tenant } })))
  return jobs.map(({ deduplicated }) => deduplicated)
}

describe('limits, named { key, limit, period }', () => {
  it('count starts by a key of the data', async () => {
    await test.kernel.registerWorker({
      id: 'rated',
      config: { concurrency: 9, rateLimit: { key: ({ tenant }: Data) => tenant, limit: 1, period: 1000 } },
      handler: record,
    })
    await enqueue('rated', 'a', 'a', 'b')
    await test.kernel.enqueue('rated', { tenant: 'a' }, { rateLimitKey: 'b' })
    await test.advance('5s')
    const [, second] = await test.kernel.queue('rated').jobs()
    expect(starts).toEqual([
      ...[
        ['a', 0],
        ['b', 0],
      ],
      ...[
        ['a', 1000],
        ['a', 1000],
      ],
    ])
    expect(second?.options).toMatchObject({ rateLimitKey: 'a' })
  })

  it('count running jobs by a key of the data, also where the producer does not know the worker', async () => {
    let running = 0
    let most = 0
    const ends = Promise.withResolvers<void>()
    await test.kernel.enqueueMany(
      [1, 2].map(() => ({ worker: { queue: 'keyed', name: 'keyed' }, data: { tenant: 'a' } })),
    )
    await test.kernel.registerWorker({
      id: 'keyed',
      config: { concurrency: 9, concurrencyPerKey: { key: ({ tenant }: Data) => tenant, limit: 1 } },
      async handler() {
        most = Math.max(most, ++running)
        await ends.promise
        running--
      },
    })
    await enqueue('keyed', 'a', 'b')
    await test.advance(1000)
    expect([running, most]).toEqual([2, 2])
    ends.resolve()
    await test.drain()
    expect([running, most]).toEqual([0, 2])
    const [first, , third] = await test.kernel.queue('keyed').jobs()
    expect([first?.options, third?.options]).toMatchObject([{}, { concurrencyKey: 'a' }])
    await test.kernel.registerWorker({
      id: 'wrong',
      config: { concurrencyPerKey: { key: () => '', limit: 1 } },
      handler: record,
    })
    await expect(test.kernel.enqueue('wrong')).rejects.toMatchObject({ code: 'OPTION_INVALID' })
  })

  it('drop and hold back by a key of the data', async () => {
    const key = ({ tenant }: Data): string => tenant
    const throttle = { key, limit: 2, period: 60_000 }
    await test.kernel.registerWorker({ id: 'throttled', config: { throttle }, handler: record })
    const debounce = { key, period: 500, maxWait: 5000 }
    await test.kernel.registerWorker({ id: 'debounced', config: { debounce }, handler: record })
    expect(await enqueue('throttled', 'a', 'a', 'a', 'b')).toEqual([false, false, true, false])
    await test.drain()
    expect(
      starts
        .splice(0)
        .map(([tenant]) => tenant)
        .toSorted(),
    ).toEqual(['a', 'a', 'b'])
    expect(await enqueue('debounced', 'a', 'b', 'a')).toEqual([false, false, true])
    await test.advance('1s')
    expect(starts).toEqual([
      ...[
        ['a', 500],
        ['b', 500],
      ],
    ])
  })

  it.each([
    ['throttle', { period: 5, limit: 1, max: 2 }],
    ['throttle', { period: 5, limit: 0 }],
    ['debounce', { period: 5, delay: 6 }],
    ['debounce', {}],
    ['rateLimit', { limit: 1 }],
    ['rateLimit', { limit: 1, duration: 5 }],
    ['rateLimit', { limit: 1, period: 5, max: 1, duration: 5 }],
    ['rateLimit', { limit: 1, period: 5, key: 5 }],
    ['concurrencyPerKey', { limit: 1 }],
  ])('refuse %s: %o', async (option, value) => {
    const config = { [option]: value } as object
    await expect(test.kernel.registerWorker({ id: 'w', config, handler: record })).rejects.toMatchObject({
      code: 'OPTION_INVALID',
      message: expect.stringContaining(option),
    })
  })
})

describe('the former names of limits', () => {
  it('work, and are warned about once', async () => {
    const warnings: Error[] = []
    const listen = (warning: Error): void => void warnings.push(warning)
    process.on('warning', listen)
    onTestFinished(() => void process.off('warning', listen))
    for (const id of ['one', 'two']) {
      await test.kernel.registerWorker({
        id,
        config: { concurrency: 9, rateLimit: { max: 1, duration: 1000 }, throttle: { period: 60_000, max: 2 } },
        handler: record,
      })
    }
    await test.kernel.registerWorker({ id: 'old', config: { debounce: { delay: 500 } }, handler: record })
    expect(await enqueue('one', 'a', 'b', 'c')).toEqual([false, false, true])
    await enqueue('old', 'd')
    await test.advance('1m')
    expect(starts).toEqual([
      ...[
        ['a', 0],
        ['d', 500],
      ],
      ['b', 1000],
    ])
    process.emitWarning('the last one')
    while (warnings.at(-1)?.message !== 'the last one') await once(process, 'warning')
    const own = warnings.filter((one) => (one as NodeJS.ErrnoException).code === 'NUXT_QUEUE_DEPRECATED')
    const old = own.map(({ message }) => message.split(' is deprecated')[0])
    expect(old).toHaveLength(3)
    expect(new Set(old)).toEqual(new Set(['debounce: { delay }', 'rateLimit: { max, duration }', 'throttle: { max }']))
  })
})
