import { once } from 'node:events'
import { expect, it } from 'vitest'
import { createKernel, defineConfig, defineQueueConfig, defineWorkerConfig } from '../../../index.ts'
import { createTestKernel } from '../../../testing/index.ts'

it('returns a config unchanged, and names the right function for a config of another kind', async () => {
  const worker = { concurrency: 5, attempts: 3 }
  expect(defineWorkerConfig(worker)).toBe(worker)
  expect(defineQueueConfig(worker)).toBe(worker)
  const application = { preset: 'dev', jobs: { attempts: 3 } } as const
  expect(defineConfig(application)).toBe(application)
  expect(() => defineWorkerConfig(application as object)).toThrow(
    expect.objectContaining({ code: 'OPTION_INVALID', message: expect.stringContaining('defineConfig()') }),
  )
  const misplaced = { code: 'CONFIG_INVALID', message: expect.stringContaining('defineWorkerConfig()') }
  expect(() => defineConfig(worker)).toThrow(expect.objectContaining(misplaced))
  await expect(createKernel({ preset: 'dev', config: worker })).rejects.toMatchObject(misplaced)
})

it('stores progress by ctx.progress, and by its deprecated name', async () => {
  await using test = await createTestKernel({
    workers: {
      old: (job, ctx) => ctx.reportProgress(job.data as number),
      both: async (_job, ctx) => {
        await ctx.progress(Number.NaN)
        await ctx.reportProgress(Number.NaN)
        await ctx.progress(0.25, 'a quarter')
      },
    },
  })
  const warned = once(process, 'warning')
  const old = await test.kernel.enqueue('old', 7)
  const both = await test.kernel.enqueue('both')
  await test.drain()
  expect([await old.progress(), await both.progress()]).toEqual([1, 0.25])
  const reports = test.reports.map(({ message }) => message)
  expect(reports).toEqual([`Progress of job "${both.id}" was not stored.`])
  const [warning] = (await warned) as [Error]
  expect(warning).toMatchObject({ code: 'NUXT_QUEUE_DEPRECATED', message: expect.stringContaining('ctx.progress()') })
})
