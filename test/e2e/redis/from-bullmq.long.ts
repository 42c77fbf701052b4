// The application of the guide for BullMQ, before and after its move. `npm test` shares queues with plain BullMQ in `interop.test.ts`.
import { join } from 'pathe'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startRedis } from '../../services/redis.ts'
import { ROOT, startNode } from '../processes.ts'

let server: Awaited<ReturnType<typeof startRedis>>
beforeAll(async () => void (server = await startRedis()))
afterAll(() => server.stop())

it.each(['before', 'after'])('the application of the guide for BullMQ does the same: %s', async (which) => {
  const cwd = join(ROOT, 'test/fixtures/from-bullmq', which)
  // Both use the keys of BullMQ. The database is different, because ids stay known.
  const env = { REDIS_URL: `${server.url}/${which.length}` }
  const { code, stdout } = await startNode(['main.ts'], cwd, env).ended
  expect(code).toBe(0)
  expect(JSON.parse(stdout)).toEqual({
    mail: 'sent to ada@example.com',
    refused: 'This is no address.',
    images: ['cat.png in attempt 2', 'dog.png in attempt 2'],
    order: { charged: 1200, packed: 1 },
    report: 'short report',
  })
})
