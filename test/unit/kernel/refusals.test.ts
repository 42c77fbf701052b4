import { createKernel, definePlugin } from 'nuxt-queue'
import { expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'

const strict = definePlugin({
  name: 'strict',
  setup(kernel) {
    kernel.hook('enqueue', (payload, next) => {
      if (payload.job.name === 'vetoed') payload.veto = 'this tenant may not'
      else return next()
    })
  },
})

test('the stack of a rejected enqueue contains its call site', async () => {
  const kernel = await createKernel({ preset: 'test', plugins: [strict] })
  onTestFinished(async () => void (await kernel.close()))
  await kernel.registerWorker({ id: 'checked', config: { input: z.object({ name: z.string() }) }, handler: () => {} })
  const slow = z.object({ name: z.string().refine(async (name) => name !== 'Eve') })
  await kernel.registerWorker({ id: 'slow', config: { input: slow }, handler: () => {} })
  await kernel.registerWorker({ id: 'vetoed', handler: () => {} })
  await kernel.registerWorker({ id: 'plain', handler: () => {} })
  const refused = [
    () => kernel.enqueue('nobody'),
    () => kernel.enqueue('checked', { name: 5 }),
    () => kernel.enqueue('checked', { name: 'Ada' }, { delay: -1 }),
    () => kernel.enqueue('slow', { name: 'Eve' }),
    () => kernel.enqueueMany([{ worker: 'slow', data: { name: 'Eve' } }]),
    () => kernel.enqueue('vetoed'),
    () => kernel.enqueue('plain', () => 'a function'),
    () => kernel.enqueueMany([{ worker: 'plain', data: () => 'a function' }]),
    () => kernel.enqueue('plain', {}, { tags: [' '.repeat(5000)] }),
    () => kernel.enqueue('plain', {}, { headers: { a: 5 } as never }),
    () => kernel.enqueue({ queue: '', name: 'other' }),
    () => kernel.enqueueMany([{ worker: 'checked', data: { name: 5 } }]),
  ]
  for (const call of refused) {
    const error = await call().then(
      () => undefined,
      (thrown: unknown) => thrown as Error,
    )
    const frames = error?.stack?.split('\n').filter((line) => /^\s+at /.test(line))
    expect(frames, error?.message).toContainEqual(expect.stringMatching(/refusals\.test\.ts:\d+:\d+/))
  }
})
