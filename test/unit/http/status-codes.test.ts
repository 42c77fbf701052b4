import { H3 } from 'h3'
import { expect, it } from 'vitest'
import { createKernel, QueueError } from 'nuxt-queue'

it('lets a route of the application respond with the status of a rejection', async () => {
  const kernel = await createKernel({ preset: 'dev', config: { registry: { dirs: [] } } })
  const app = new H3({ silent: true })
    .get('/unknown', () => kernel.enqueue('nobody'))
    .get('/missing', () => kernel.retry({ queue: 'none', id: 'none' }))
    .get('/invalid', () => kernel.enqueue({ queue: 'q', name: 'n' }, {}, { delay: -1 }))
    .get('/broken', () => Promise.reject(new QueueError('HOOK_INVALID', 'a fault of the application')))
  const statusOf = async (path: string): Promise<number> => (await app.fetch(new Request(`http://x${path}`))).status
  expect(await Promise.all(['/unknown', '/missing', '/invalid', '/broken'].map(statusOf))).toEqual([404, 404, 400, 500])
  await kernel.close()
})
