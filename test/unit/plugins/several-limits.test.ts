import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { definePlugin } from '../../../index.ts'
import { createTestKernel, type TestKernel } from '../../../testing/index.ts'

interface Data {
  tenant: string
}
const tenantOf = ({ tenant }: Data): string => tenant

let test: TestKernel
let origin: number
const starts: [tenant: string, at: number][] = []
const ends = new Map<string, PromiseWithResolvers<void>>()

beforeEach(async () => {
  test = await createTestKernel()
  onTestFinished(() => test.close())
  origin = test.clock.now()
  starts.length = 0
  ends.clear()
})

function record({ data }: { data: unknown }): void {
  starts.push([(data as Data).tenant, test.clock.now() - origin])
}

/** Runs until the test ends the job of its tenant. */
async function hold(job: { data: unknown }): Promise<void> {
  record(job)
  await endOf((job.data as Data).tenant).promise
}

function endOf(tenant: string): PromiseWithResolvers<void> {
  if (!ends.has(tenant)) ends.set(tenant, Promise.withResolvers())
  return ends.get(tenant)!
}

/** Enqueues a job for each letter. */
const enqueue = (worker: string, tenants: string) =>
  test.kernel.enqueueMany(tenants.split('').map((tenant) => ({ worker, data: { tenant } })))

const started = (): string => starts.map(([tenant]) => tenant).join('')

describe('several limits of a worker', () => {
  it('apply together, and a job that waits for its key takes no permit that all keys share', async () => {
    const limits = [{ concurrency: 3 }, { concurrency: 1, key: tenantOf }]
    await test.kernel.registerWorker({ id: 'w', config: { concurrency: 9, limits }, handler: hold })
    const jobs = await enqueue('w', 'aaaaabcde')
    await test.advance(100)
    expect(started()).toBe('abc')
    endOf('b').resolve()
    await test.advance(100)
    expect(started()).toBe('abcd')
    for (const tenant of 'acde') endOf(tenant).resolve()
    await test.advance('10m')
    expect(started().split('').toSorted().join('')).toBe('aaaaabcde')
    // Each job is claimed once for each limit, and once more to run.
    for (const job of jobs) expect((await job.record())?.claims).toBeLessThanOrEqual(3)
  })

  it('let a job keep the permit of its key for hours while it waits for another limit', async () => {
    const limits = [{ concurrency: 1, key: tenantOf }, { concurrency: 1 }]
    await test.kernel.registerWorker({ id: 'w', config: { concurrency: 9, limits }, handler: hold })
    const [, first, second] = await enqueue('w', 'abb')
    await test.advance('3h')
    endOf('a').resolve()
    await test.advance(100)
    expect([await first!.state(), await second!.state()]).toEqual(['active', 'delayed'])
    endOf('b').resolve()
    await test.drain()
    expect(started()).toBe('abb')
  })

  it('give the permits of a job that was cancelled while it waited to the next job within minutes', async () => {
    const limits = [
      { concurrency: 1, key: tenantOf },
      { concurrency: 1, key: () => 'all' },
    ]
    await test.kernel.registerWorker({ id: 'w', config: { concurrency: 9, limits }, handler: hold })
    const [, waiting] = await enqueue('w', 'abb')
    await test.advance(100)
    await waiting!.cancel()
    endOf('a').resolve()
    endOf('b').resolve()
    await test.advance('3m')
    expect(started()).toBe('ab')
  })

  it('count a start that another rate refuses in no rate', async () => {
    const limits = [{ rate: { limit: 2, period: 1000 } }, { rate: { limit: 1, period: 60_000 }, key: tenantOf }]
    await test.kernel.registerWorker({ id: 'w', config: { concurrency: 9, limits }, handler: record })
    await enqueue('w', 'aabcd')
    await test.advance('5m')
    expect(starts.toSorted(([a, x], [b, y]) => x - y || (a < b ? -1 : 1))).toEqual([
      ['a', 0],
      ['b', 0],
      ['c', 1000],
      ['d', 1000],
      ['a', 60_000],
    ])
  })

  it('are shared by the workers of a group', async () => {
    const limits = [{ concurrency: 2, group: 'crm' }]
    for (const id of ['x', 'y']) {
      await test.kernel.registerWorker({ id, config: { concurrency: 9, limits }, handler: hold })
    }
    await enqueue('x', 'ab')
    const [last] = await enqueue('y', 'c')
    await test.advance(100)
    expect(started()).toBe('ab')
    expect((await last!.explain()).reasons).toMatchObject([{ code: 'worker-limit', entry: 0 }])
    endOf('a').resolve()
    await test.advance(100)
    expect(started()).toBe('abc')
  })

  it.each([
    ['an empty list', []],
    ['an entry without a limit', [{ key: 'a' }]],
    ['an unknown member', [{ concurrency: 1, max: 2 }]],
    ['a rate without a period', [{ rate: { limit: 1 } }]],
    ['a fraction', [{ concurrency: 1.5 }]],
    [
      'a group twice',
      [
        { concurrency: 1, group: 'g' },
        { concurrency: 2, group: 'g', key: 'k' },
      ],
    ],
    ['too many', Array.from({ length: 11 }, () => ({ concurrency: 1 }))],
  ])('refuse %s', async (_what, limits) => {
    const register = test.kernel.registerWorker({ id: 'bad', config: { limits: limits as never }, handler: record })
    await expect(register).rejects.toMatchObject({ code: 'OPTION_INVALID' })
  })

  it('refuse a key that is not text when a job is enqueued', async () => {
    const limits = [{ concurrency: 1, key: () => 7 as unknown as string }]
    await test.kernel.registerWorker({ id: 'w', config: { limits }, handler: record })
    await expect(test.kernel.enqueue('w', { tenant: 'a' })).rejects.toMatchObject({ code: 'OPTION_INVALID' })
  })

  it('refuse several rates on an adapter that cannot take back starts', async () => {
    const without = definePlugin({
      name: 'without',
      enforce: 'pre',
      setup: (kernel) => kernel.wrapPort('limits', ({ takeBack: _none, ...limits }) => limits),
    })
    await using limited = await createTestKernel({ plugins: [without] })
    const rate = { rate: { limit: 1, period: 1000 } }
    const register = (limits: object[]) =>
      limited.kernel.registerWorker({ id: 'w', config: { limits: limits as never }, handler: record })
    await expect(register([rate, { ...rate, key: 'k' }])).rejects.toMatchObject({ code: 'OPTION_UNSUPPORTED' })
    await register([rate, { concurrency: 1 }])
  })
})
