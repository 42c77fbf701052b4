import { expect, it } from 'vitest'
import { createTestKernel, haveEvents, installEventMatchers } from 'nuxt-queue/testing'
import type { StoredEvent } from '../../kernel/index.ts'

installEventMatchers(expect)

const event = (seq: number, type: string, step?: string, data?: unknown): StoredEvent => ({
  seq,
  id: `r:${seq}`,
  ts: seq,
  type,
  step,
  data,
  runId: 'r',
})
const EVENTS = [
  event(1, 'step.started', 'mail', { claim: 1 }),
  event(2, 'state.set', 'mail', { key: 'to', value: { name: 'Ada', tags: ['a', 'b'], at: new Date(5) } }),
  event(3, 'step.completed', 'mail', { result: 'sent' }),
]

/** Returns the message of a failed expectation. */
function said(call: () => void): string {
  try {
    call()
  } catch (error) {
    return (error as Error).message
  }
  throw new Error('The expectation held.')
}

it('accepts the events of a run', async () => {
  await using test = await createTestKernel({ workers: { hello: () => 'hi' } })
  const job = await test.kernel.enqueue('hello')
  await test.drain()
  const events = await test.events(job.runId)
  expect(events).toHaveEvents(['step.started', { type: 'step.completed', step: 'hello', data: { result: 'hi' } }])
  expect(events).toContainEventsInOrder(['step.completed'])
})

it('requires all events, in order', () => {
  expect(EVENTS).toHaveEvents(['step.started', 'state.set', 'step.completed'])
  expect([]).toHaveEvents([])
  expect(EVENTS).not.toHaveEvents(['step.started', 'step.completed'])
  expect(EVENTS).not.toHaveEvents(['state.set', 'step.started', 'step.completed'])
  expect(EVENTS).not.toHaveEvents([])
  expect([]).not.toHaveEvents(['step.started'])
})

it('finds events among others, in order', () => {
  expect(EVENTS).toContainEventsInOrder(['step.started', 'step.completed'])
  expect(EVENTS).toContainEventsInOrder([])
  expect(EVENTS).not.toContainEventsInOrder(['step.completed', 'step.started'])
  expect(EVENTS).not.toContainEventsInOrder(['state.set', 'state.set'])
})

it('compares objects partially, lists completely, and accepts matchers of expect', () => {
  const value = { name: 'Ada', tags: ['a', 'b'] }
  expect(EVENTS).toContainEventsInOrder([{ type: 'state.set', data: { value } }])
  expect(EVENTS).toContainEventsInOrder([{ step: 'mail', data: { value: { at: new Date(5) } } }])
  expect(EVENTS).toContainEventsInOrder([{ data: { result: expect.stringContaining('sen') as string } }])
  expect(EVENTS).not.toContainEventsInOrder([{ data: { value: { tags: ['a'] } } }])
  expect(EVENTS).not.toContainEventsInOrder([{ data: { value: { at: new Date(6) } } }])
  expect(EVENTS).not.toContainEventsInOrder([{ type: 'state.set', step: 'other' }])
})

it('reports which event differs', () => {
  expect(said(() => expect(EVENTS).toHaveEvents(['step.started', 'step.retry', 'step.completed']))).toBe(
    [
      "Event 2 differs: expected step.retry, got state.set (mail) { key: 'to', value: { name: 'Ada', tags: [ 'a', 'b' ], at: 1970-01-01T00:00:00.005Z } }.",
      'Expected:',
      '  step.started',
      '> step.retry',
      '  step.completed',
      'Events:',
      '  1 step.started (mail) { claim: 1 }',
      "  2 state.set (mail) { key: 'to', value: { name: 'Ada', tags: [ 'a', 'b' ], at: 1970-01-01T00:00:00.005Z } }",
      "  3 step.completed (mail) { result: 'sent' }",
    ].join('\n'),
  )
})

it('reports missing and additional events', () => {
  const two = EVENTS.slice(0, 1)
  expect(said(() => expect(two).toHaveEvents(['step.started', 'step.completed']))).toContain(
    'Event 2 differs: expected step.completed, got the end.',
  )
  expect(said(() => expect(two).toHaveEvents([]))).toContain(
    'Event 1 differs: expected the end, got step.started (mail)',
  )
  expect(said(() => expect([]).toHaveEvents(['a']))).toContain('Events:\n  none')
})

it('reports which event is missing, and its predecessor', () => {
  const message = said(() => expect(EVENTS).toContainEventsInOrder(['step.started', { type: 'emit', data: { n: 1 } }]))
  expect(message).toContain("There is no { type: 'emit', data: { n: 1 } } after step.started.")
  expect(message).toContain("> { type: 'emit', data: { n: 1 } }")
})

it('reports unwanted events', () => {
  expect(said(() => expect(EVENTS).not.toContainEventsInOrder(['state.set']))).toContain('not to contain, in order:')
  expect(said(() => expect([]).not.toHaveEvents([]))).toContain('Expected other events than these.')
})

it('works without a test runner', () => {
  expect(haveEvents(EVENTS, ['step.started']).pass).toBe(false)
})
