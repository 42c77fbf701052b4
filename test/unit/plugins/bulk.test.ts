import { expect, it } from 'vitest'
import { definePlugin, type PluginKernel } from '../../../kernel/index.ts'
import { createActor } from '../../../plugins/jobs/bulk/act.ts'
import type { BulkAction } from '../../../plugins/jobs/bulk/report.ts'
import { createTestKernel } from '../../../testing/index.ts'

it('counts a job as done if a stalled worker has acted on it after its successor had read it', async () => {
  let inner: PluginKernel | undefined
  const plugin = definePlugin({ name: 'inner', setup: (kernel) => void (inner = kernel) })
  await using test = await createTestKernel({ plugins: [plugin], workers: { w: () => {} } })
  const queues = test.kernel.port('queue')
  await queues.pause('default')
  const actions: [BulkAction, delay: number][] = [
    ['promote', 60_000],
    ['cancel', 0],
    ['retry', 0],
    ['remove', 0],
  ]
  const { queue, id: cancelled } = await test.kernel.enqueue('w')
  await test.kernel.cancel({ queue, id: cancelled })
  for (const [action, delay] of actions) {
    const id = action === 'retry' ? cancelled : (await test.kernel.enqueue('w', null, { delay })).id
    const seen = (await queues.getJob(queue, id))!
    const { round, claims, createdAt } = seen
    const selected = { queue, id, round, claims, createdAt }
    const act = createActor(inner!, { action, filter: {}, requestedAt: 0, limit: 10 })
    expect([action, await act(selected, seen, false)]).toEqual([action, 'done'])
    expect([action, await act(selected, seen, true)]).toEqual([action, 'done'])
  }
  // Without an earlier attempt, another caller has changed the job.
  const gone = { queue, id: 'gone', round: 0, claims: 0, createdAt: 0 }
  const remove = createActor(inner!, { action: 'remove', filter: {}, requestedAt: 0, limit: 10 })
  expect(await remove(gone, undefined, false)).toMatchObject({ code: 'JOB_NOT_FOUND' })
})
