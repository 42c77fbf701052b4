import { expect, it } from 'vitest'
import { definePlugin } from '../../../kernel/index.ts'
import { createTestKernel } from '../../../testing/index.ts'

/** Records the events of an instance, including those during its close. */
function watcher(told: string[], fail = false) {
  return definePlugin({
    name: 'watcher',
    setup(kernel) {
      kernel.hook('emit', async ({ stream, events }, next) => {
        if (fail && stream === 'registry') throw new Error('no store')
        await next()
        if (stream === 'registry') told.push(...events.map(({ type }) => type))
      })
    },
  })
}

it('an instance records its start, its heartbeats and its end', async () => {
  const told: string[] = []
  const config = { instances: { heartbeat: 60_000 } }
  const test = await createTestKernel({ config, plugins: [watcher(told)], workers: { a: () => {}, b: () => {} } })
  await test.advance('150s')
  expect(told).toEqual(['worker.registered', 'worker.heartbeat', 'worker.heartbeat'])
  const [self] = await test.kernel.instances()
  expect(self).toMatchObject({ workers: [{ id: 'a' }, { id: 'b' }] })
  await test.close()
  expect(told.at(-1)).toBe('worker.stopped')
  expect(test.clock.timers).toBe(0)
})

it('an instance whose store rejects its heartbeats still runs, and tries again', async () => {
  const config = { instances: { heartbeat: 60_000 } }
  await using test = await createTestKernel({ config, plugins: [watcher([], true)], workers: { a: () => 'done' } })
  const job = await test.kernel.enqueue('a')
  expect(await test.kernel.result(job)).toBe('done')
  await test.advance('61s')
  const warnings = test.reports.filter(({ message }) => message.includes('heartbeat'))
  expect(warnings.length).toBeGreaterThanOrEqual(2)
})
