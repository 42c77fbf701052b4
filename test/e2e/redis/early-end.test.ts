import { afterAll, beforeAll, expect, it } from 'vitest'
import { sharedRedis } from '../../services/redis.ts'
import { application, until } from './rig.ts'

let server: Awaited<ReturnType<typeof sharedRedis>>
beforeAll(async () => {
  server = await sharedRedis()
})
afterAll(() => server.stop())

it('settles a job of a worker that runs one at a time in the round trip that stores its end', async () => {
  const kernel = await application({ url: server.url, prefix: crypto.randomUUID() })
  const [opened, held] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const ended: unknown[] = []
  const started: unknown[] = []
  kernel.port('queue').on('w', 'completed', (_event, _queue, job) => void ended.push(job?.result))
  kernel.hook('emit', async ({ events }, next) => {
    await next()
    if (events.at(-1)?.type !== 'step.completed') return
    held.resolve()
    await opened.promise
  })
  await kernel.registerWorker({ id: 'w', config: { queue: 'w' }, handler: ({ data }) => (started.push(data), data) })
  await kernel.start()
  const [first, second] = await kernel.enqueueMany(['first', 'second'].map((data) => ({ worker: 'w', data })))
  await held.promise
  // A hook still works behind the append, so the runner has not settled the job. Redis has, and the next job has begun.
  await until(async () => (await kernel.port('queue').getJob('w', first!.id))?.state === 'completed')
  await until(() => started.length === 2)
  expect(ended).toEqual([])
  opened.resolve()
  await kernel.result(second!)
  await until(() => ended.length === 2)
  expect(ended).toEqual(['first', 'second'])
  expect(await kernel.close({ timeout: 30_000 })).toEqual({ aborted: [] })
})
