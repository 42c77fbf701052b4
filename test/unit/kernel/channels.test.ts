import { tracingChannel } from 'node:diagnostics_channel'
import { expect, it } from 'vitest'
import { createTestKernel, VIRTUAL_EPOCH, type TestKernelOptions } from '../../../testing/index.ts'

it('publishes sub-steps, waits and starts of schedules of plugins', async () => {
  const heard: string[] = []
  const stops = ['step', 'wait', 'schedule'].map((name) => {
    const channel = tracingChannel<unknown, object>(`nuxt-queue:${name}`)
    const hear = (phase: string) => (message: object) => {
      const { name: what, result, at } = message as { name?: string; result?: { over?: boolean }; at?: number }
      heard.push([name, phase, what ?? at, ...(phase === 'end' && result ? [result.over ?? 'done'] : [])].join(' '))
    }
    const subscribers = { start: hear('start'), end() {}, asyncStart() {}, asyncEnd: hear('end'), error: hear('error') }
    channel.subscribe(subscribers)
    return () => channel.unsubscribe(subscribers)
  })
  const workers: TestKernelOptions['workers'] = {
    steps: async (_job, ctx) => {
      await ctx.step.run('charge', () => 1)
      await ctx.step.sleep('rest', 1000)
    },
    works: () => 'done',
  }
  await using rig = await createTestKernel({ workers })
  await rig.kernel.enqueue('steps')
  await rig.drain()
  await rig.advance(1000)
  await rig.kernel.schedule('often', { every: 60_000, worker: 'works' })
  await rig.advance(60_000)
  for (const stop of stops) stop()
  const at = VIRTUAL_EPOCH + 60_000
  expect(heard).toEqual([
    ...['step start charge', 'step end charge done', 'wait start rest', 'wait end rest false'],
    ...['wait start rest', 'wait end rest true', `schedule start ${at}`, `schedule end ${at} done`],
  ])
})

it('publishes the beginning and the end of enqueueing, dispatching and appending to subscribers', async () => {
  const heard: string[] = []
  const stops = ['enqueue', 'dispatch', 'append'].map((name) => {
    const channel = tracingChannel<unknown, object>(`nuxt-queue:${name}`)
    const hear = (phase: string) => (message: object) => {
      const { job, events } = message as { job?: { name: string }; events?: { type: string }[] }
      heard.push(`${name} ${phase} ${job?.name ?? events?.at(-1)?.type}`)
    }
    const subscribers = { start: hear('start'), end() {}, asyncStart() {}, asyncEnd: hear('end'), error: hear('error') }
    channel.subscribe(subscribers)
    return () => channel.unsubscribe(subscribers)
  })
  const workers = {
    works: () => 'done',
    fails: () => {
      throw new Error('no')
    },
  }
  await using rig = await createTestKernel({ workers })
  const job = await rig.kernel.enqueue('works')
  await rig.drain()
  expect(await rig.kernel.result(job)).toBe('done')
  await rig.kernel.enqueueMany([{ worker: 'fails' }])
  await rig.drain()
  for (const stop of stops) stop()
  await rig.kernel.enqueue('works')
  await rig.drain()
  const of = (start: string): string[] => heard.filter((line) => line.startsWith(start))
  expect(of('enqueue')).toEqual(['works', 'fails'].flatMap((name) => [`enqueue start ${name}`, `enqueue end ${name}`]))
  expect(of('dispatch')).toEqual(
    ['start works', 'end works', 'start fails', 'error fails', 'end fails'].map((line) => `dispatch ${line}`),
  )
  expect(of('append start')).toEqual(
    ['step.started', 'step.completed', 'step.started', 'step.failed'].map((type) => `append start ${type}`),
  )
})
