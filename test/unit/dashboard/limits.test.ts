import { expect, it, onTestFinished } from 'vitest'
import { limitTexts } from '../../../plugins/integrations/dashboard/app/lib/limits.ts'
import { createTestKernel } from '../../../testing/index.ts'

it('the list of instances has every limit of a worker, and the dashboard names each', async () => {
  const test = await createTestKernel({ config: { instances: { heartbeat: 60_000 } } })
  onTestFinished(() => test.close())
  const tenant = (data: { tenant: string }): string => data.tenant
  await test.kernel.registerWorker({
    id: 'charge',
    config: {
      singleton: true,
      fairKey: tenant,
      timeout: 30_000,
      concurrencyPerKey: { key: tenant, limit: 2 },
      rateLimit: { key: tenant, limit: 5, period: 60_000 },
      limits: [
        { concurrency: 3, key: tenant },
        { concurrency: 20, rate: { limit: 100, period: 1000 }, group: 'crm' },
      ],
    },
    handler: () => {},
  })
  await test.kernel.start()
  const [self] = await test.kernel.instances()
  expect(limitTexts(self!.workers[0]!.limits)).toEqual([
    'one at a time in all processes',
    '2 at once per key',
    '5 in 1 m per key',
    '3 at once per key',
    '20 at once and 100 in 1 s in the group crm',
    'keys take turns',
    'timeout 30 s',
  ])
})
