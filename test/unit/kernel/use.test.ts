import { expect, it } from 'vitest'
import { definePlugin, useKernel, useRunContext, type Kernel } from '../../../index.ts'
import { createTestKernel } from '../../../testing/index.ts'

it('finds the context of the job from any function, also after an await, for jobs that run at once', async () => {
  const idOfJob = async (): Promise<string> => {
    await new Promise(setImmediate)
    return useRunContext().job.id
  }
  await using test = await createTestKernel({
    workers: { who: { config: { concurrency: 10 }, handler: () => idOfJob() } },
  })
  const jobs = await test.kernel.enqueueMany(Array.from({ length: 10 }, () => ({ worker: 'who' })))
  expect(await Promise.all(jobs.map((job) => test.kernel.result(job)))).toEqual(jobs.map(({ id }) => id))
})

it('isolates two kernels', async () => {
  const kernels: Kernel[] = []
  const remember = definePlugin({ name: 'remember', setup: () => void kernels.push(useKernel()) })
  await using one = await createTestKernel({ plugins: [remember], workers: { same: () => useKernel() === one.kernel } })
  await using two = await createTestKernel({ plugins: [remember], workers: { same: () => useKernel() === two.kernel } })
  expect(kernels).toEqual([one.kernel, two.kernel])
  expect(await one.kernel.result(await one.kernel.enqueue('same'))).toBe(true)
  expect(await two.kernel.result(await two.kernel.enqueue('same'))).toBe(true)
  expect(await two.kernel.port('queue').getJobs()).toHaveLength(1)
})

it('says where it can be called when it is called elsewhere', () => {
  expect(() => useRunContext()).toThrow(/inside a handler/)
  expect(() => useKernel()).toThrow(/inside a handler or the setup of a plugin/)
})
