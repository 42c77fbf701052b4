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

async function endsOf(queue: string): Promise<unknown[]> {
  const jobs = await test.kernel.queue(queue).jobs()
  return jobs.map(({ state, error, finishedAt, createdAt }) => [state, error?.code, finishedAt! - createdAt])
}

describe('a job with expiresIn', () => {
  it('stays expired if its process dies before the end is stored', async () => {
    const { kernel } = test
    await kernel.registerWorker({ id: 'w', config: { queue: 'w', expiresIn: 1000 }, handler: record })
    let failures = 0
    kernel.hook('emit', (payload, next) => {
      if (payload.events[0]?.type === 'step.failed' && failures++ === 0) throw new Error('The connection broke.')
      return next()
    })
    await kernel.queue('w').pause()
    await kernel.enqueue('w', 'stale')
    await test.advance('2s')
    await kernel.queue('w').resume()
    await test.advance('1m')
    expect(failures).toBe(2)
    expect(ran).toEqual([])
    expect(await endsOf('w')).toEqual([['failed', 'JOB_EXPIRED', expect.any(Number)]])
  })

  it('begins to wait anew when it is retried', async () => {
    const { kernel } = test
    await kernel.registerWorker({ id: 'w', config: { queue: 'w', expiresIn: 1000 }, handler: record })
    await kernel.queue('w').pause()
    const job = await kernel.enqueue('w', 'late')
    await test.advance('2s')
    await kernel.queue('w').resume()
    await test.advance('1s')
    expect(await job.state()).toBe('failed')
    await job.retry()
    await test.advance('1s')
    expect(await job.state()).toBe('completed')
    expect(ran).toEqual(['late'])
  })

  it('ends when it expires, although a rate limit would hold it longer', async () => {
    const { kernel } = test
    const config = { queue: 'w', expiresIn: 5000, rateLimit: { limit: 1, period: 60_000 } }
    await kernel.registerWorker({ id: 'w', config, handler: record })
    for (const data of [1, 2, 3]) await kernel.enqueue('w', data)
    await test.advance('10s')
    expect(ran).toEqual([1])
    const ends = await endsOf('w')
    expect(ends.map((end) => (end as unknown[]).slice(0, 2))).toEqual([
      ['completed', undefined],
      ['failed', 'JOB_EXPIRED'],
      ['failed', 'JOB_EXPIRED'],
    ])
    expect(Math.max(...ends.map((end) => (end as number[])[2]!))).toBeLessThan(6000)
  })

  it('waits for the end of a window of debounce before its time begins', async () => {
    const { kernel } = test
    const config = { queue: 'w', expiresIn: 500, debounce: { period: 1000 } }
    await kernel.registerWorker({ id: 'w', config, handler: record })
    for (const data of [1, 2, 3]) {
      await kernel.enqueue('w', data)
      await test.advance(700)
    }
    await test.advance('2s')
    expect(ran).toEqual([3])
  })
})
