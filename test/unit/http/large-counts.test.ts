import { expect, it, vi } from 'vitest'
import { createTestKernel } from '../../../testing/index.ts'

it('caches counts of many jobs, refreshes them in the background, and does not cache counts of few jobs', async () => {
  await using test = await createTestKernel({ config: { http: { authorize: () => true } } })
  const { kernel } = test
  const ask = async (path: string): Promise<{ counts: { waiting: number } }> =>
    (await kernel.http.fetch(new Request(`http://x/_queue/api/${path}`))).json() as never
  const waiting = async (path: string): Promise<number> => (await ask(path)).counts.waiting
  const add = async (queue: string, jobs: number): Promise<unknown> =>
    kernel.enqueueMany(
      Array.from({ length: jobs }, () => ({ worker: { queue, name: 'job' }, options: { tags: ['a'] } })),
    )

  await add('few', 1)
  expect(await waiting('queues/few')).toBe(1)
  await add('few', 1)
  expect(await waiting('queues/few')).toBe(2)

  await add('many', 20_000)
  for (const path of ['queues/many', 'jobs/count?tag=a&queue=many']) {
    const before = await waiting(path)
    expect(before).toBeGreaterThanOrEqual(20_000)
    await add('many', 1)
    expect(await waiting(path)).toBe(before)
    await test.advance(3_000)
    expect(await waiting(path)).toBe(before)
    expect(await waiting(path)).toBe(before + 1)
    // One that cannot be made again is an error for the next request, and not for the process.
    await test.advance(3_000)
    const counting = vi.spyOn(kernel.port('queue'), path.startsWith('queues') ? 'getJobCounts' : 'countJobs')
    counting.mockRejectedValueOnce(new Error('gone'))
    expect(await waiting(path)).toBe(before + 1)
    counting.mockRestore()
    await add('many', 1)
    expect(await waiting(path)).toBe(before + 2)
    await add('many', 1)
    await test.advance(61_000)
    expect(await waiting(path)).toBe(before + 3)
  }
})
