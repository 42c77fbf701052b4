import { createKernel } from 'nuxt-queue'
import { expect, it, onTestFinished } from 'vitest'
import { collect, until } from './redis/rig.ts'
import { SHARED_STORES } from './shared-stores.ts'

it.each(SHARED_STORES)(
  '%s settles a job in the round trip that stores its end if its worker runs one at a time',
  async (preset, configOf) => {
    const kernel = await createKernel({
      preset,
      config: { registry: { dirs: [] }, setupTimeout: 60_000, ...(await configOf()) },
      reporter: collect(),
    })
    onTestFinished(async () => void (await kernel.close({ timeout: 0 })))
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
    const handler = ({ data }: { data: unknown }): unknown => (started.push(data), data)
    await kernel.registerWorker({ id: 'w', config: { queue: 'w' }, handler })
    const [first, second] = await kernel.enqueueMany(['first', 'second'].map((data) => ({ worker: 'w', data })))
    await kernel.start()
    await held.promise
    // A hook still runs after the append, so the runner has not settled the job. The store has settled it, and the next job has begun.
    await until(async () => (await kernel.port('queue').getJob('w', first!.id))?.state === 'completed')
    await until(() => started.length === 2)
    expect(ended).toEqual([])
    opened.resolve()
    await kernel.result(second!)
    await until(() => ended.length === 2)
    expect(ended).toEqual(['first', 'second'])
    expect(await kernel.close({ timeout: 30_000 })).toEqual({ aborted: [] })
  },
)
