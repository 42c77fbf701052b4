import { expect, it } from 'vitest'
import {
  createKernel,
  definePlugin,
  definePreset,
  type Kernel,
  type PluginKernel,
  type WorkerInput,
} from '../../../index.ts'
import queueMemory from '../../../plugins/adapters/memory/queue/index.ts'
import { dev } from '../../../presets/index.ts'

/** The calls to the adapter and the stored events of a job, in order. */
async function callsOf(handler: WorkerInput['handler']): Promise<string[]> {
  const order: string[] = []
  const queue = definePlugin({
    ...queueMemory,
    setup(kernel: PluginKernel, options) {
      const provide: Kernel['provide'] = (name, port) => {
        if (name !== 'workers') return kernel.provide(name, port)
        const workers = port as ReturnType<typeof kernel.port<'workers'>>
        kernel.provide('workers', {
          ...workers,
          registerWorker: (...[queueName, job, processor, limits]) =>
            workers.registerWorker(
              queueName,
              job,
              async (record, lease) => {
                const settlement = await processor(record, { ...lease, handled: () => void order.push('handled') })
                order.push(`settled: ${settlement.type}`)
                return settlement
              },
              limits,
            ),
        })
      }
      return queueMemory.setup(Object.assign(Object.create(kernel) as PluginKernel, { provide }), options)
    },
  })
  const events = definePlugin({
    name: 'order',
    setup: (kernel) =>
      kernel.hook('emit', (payload, next) => {
        if (payload.ctx) order.push(...payload.events.map(({ type }) => type))
        return next()
      }),
  })
  const preset = definePreset({ name: 'recorded', extends: dev, plugins: [queue, events] })
  const kernel = await createKernel({ preset, config: { registry: { dirs: [] } } })
  await kernel.registerWorker({ id: 'work', handler })
  const job = await kernel.enqueue('work')
  await kernel.start()
  await kernel.result(job).catch(() => {})
  await kernel.close()
  return order
}

it('reports a free slot when the handler has succeeded, before the end of the job is stored', async () => {
  const order = await callsOf(async (_job, ctx) => {
    // Work that the handler has not awaited also occupies the slot.
    void Promise.resolve().then(() => ctx.state.set('late', true))
  })
  expect(order).toEqual(['step.started', 'state.set', 'handled', 'step.completed', 'settled: completed'])
})

it('keeps the slot of a failed handler until the failure is stored', async () => {
  const order = await callsOf(() => Promise.reject(new Error('boom')))
  expect(order).toEqual(['step.started', 'step.failed', 'settled: failed'])
})
