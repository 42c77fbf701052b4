import { afterAll, beforeAll, expect, it } from 'vitest'
import { startRedisSentinel } from '../../services/redis.ts'
import { application, collect } from './rig.ts'

let group: Awaited<ReturnType<typeof startRedisSentinel>>
beforeAll(async () => void (group = await startRedisSentinel()), 30_000)
afterAll(() => group.stop())

it('continues with the new primary when Sentinel replaces a dead one', async () => {
  const { sentinels, name, primary } = group
  const reports = collect()
  const kernel = await application({ options: { sentinels, name } }, reports)
  await kernel.registerWorker({ id: 'w', config: { queue: 'q' }, handler: ({ data }) => `did ${String(data)}` })
  await kernel.start()
  const before = await kernel.enqueue('w', 'before')
  expect(await kernel.result(before)).toBe('did before')
  const delayed = await kernel.enqueue('w', 'delayed', { delay: 1500 })
  // Replication is asynchronous, so only the data of the replica survives.
  expect(await kernel.port('redis').client.call('WAIT', '1', '5000')).toBe(1)
  await primary.kill()
  const during = kernel.enqueue('w', 'during')
  expect(await kernel.result(delayed, { timeout: 60_000 })).toBe('did delayed')
  expect(await kernel.result(await during, { timeout: 60_000 })).toBe('did during')
  expect(await kernel.result(await kernel.enqueue('w', 'after'))).toBe('did after')
  const types = (await kernel.port('events').read(before.runId)).map(({ type }) => type)
  expect(types).toEqual(['step.started', 'step.completed'])
  expect(reports.errors).toEqual([expect.stringMatching(/connection to Redis at the Sentinel group was lost/)])
  expect(reports.warnings).toEqual([expect.stringMatching(/is back/)])
})
