import { tracingChannel } from 'node:diagnostics_channel'
import { expect, it } from 'vitest'
import { createTestKernel } from '../../../testing/index.ts'

it('publishes the beginning and the end of enqueueing, dispatching and appending to those who subscribe', async () => {
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
