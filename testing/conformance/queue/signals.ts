import { expect, it } from 'vitest'
import type { QueueCapability, QueueEvent } from '../../../kernel/index.ts'
import { codeOf } from '../harness.ts'
import { completed, failed, type QueueTest } from './rig.ts'

/** Tests the events that listeners receive, and the limit of waiting jobs. */
export function signalTests(test: QueueTest, capabilities: Readonly<Record<QueueCapability, boolean>>): void {
  it(
    'emits the events of a job in order',
    test(async ({ add, work, reach, now, heard }) => {
      await work(({ job }) => {
        if (job.claims === 1) return { type: 'retry', error: { name: 'Error', message: 'boom' }, runAt: now() }
        return job.claims === 2 ? { type: 'defer', runAt: now() } : completed()
      })
      await add({ id: 'a' })
      await reach('a', 'completed')
      const events: QueueEvent[] = [
        'waiting',
        'active',
        'retrying',
        'waiting',
        'active',
        'waiting',
        'active',
        'completed',
      ]
      expect(heard).toEqual(events.map((event) => ({ event, queue: 'q', id: 'a' })))
    }),
  )

  it(
    'emits failures, cancellations and removals',
    test(async ({ queue, add, work, reach, heard }) => {
      await work(() => failed())
      await add({ id: 'a' })
      await reach('a', 'failed')
      await queue.pause('q')
      await add({ id: 'b' })
      await queue.cancel('q', 'b')
      await queue.remove('q', 'b')
      const events = heard.map(({ event, id }) => `${event} ${id}`)
      expect(events).toEqual([
        'waiting a',
        'active a',
        'failed a',
        'paused undefined',
        'waiting b',
        'cancelled b',
        'removed b',
      ])
    }),
  )

  it(
    'calls listeners for their queue and event, with the current job, until they unsubscribe',
    test(async ({ queue, add, work, reach }) => {
      const received: string[] = []
      const listen = (name: string, event: QueueEvent | '*'): (() => void) =>
        queue.on(name, event, (what, on, job) =>
          received.push(`${name} ${event}: ${what} ${on} ${job?.id} ${job?.state}`),
        )
      listen('q', 'completed')
      listen('*', 'completed')
      listen('other', '*')
      const leave = listen('q', '*')
      leave()
      leave()
      await work(() => completed())
      await add({ id: 'a' })
      await reach('a', 'completed')
      await add({ id: 'b', queue: 'other' })
      expect(received).toEqual([
        'q completed: completed q a completed',
        '* completed: completed q a completed',
        'other *: waiting other b waiting',
      ])
    }),
  )

  it(
    'reports a listener that throws, and continues',
    test(async ({ queue, add, work, reach, reports, heard }) => {
      queue.on('*', 'waiting', () => {
        throw new Error('bad listener')
      })
      await work(() => completed())
      await add({ id: 'a' })
      await reach('a', 'completed')
      expect(reports.map(({ level, detail }) => [level, (detail as Error).message])).toEqual([
        ['error', 'bad listener'],
      ])
      expect(heard.map(({ event }) => event)).toEqual(['waiting', 'active', 'completed'])
    }),
  )

  const sizeTests = { declared: withMaxSize, undeclared: withoutMaxSize }
  sizeTests[capabilities.maxQueueSize ? 'declared' : 'undeclared'](test)
}

function withMaxSize(test: QueueTest): void {
  it(
    'rejects jobs beyond the limit of waiting jobs, including delayed ones, until there is room',
    test(
      async ({ queue, add, draft, work, reach, now, until }) => {
        await add({ id: 'a' })
        await add({ id: 'late', runAt: now() + 60_000 })
        expect(await codeOf(() => queue.enqueueMany([draft(), draft()]))).toBe('QUEUE_FULL')
        await add({ id: 'c' })
        expect(await codeOf(() => add({ id: 'd' }))).toBe('QUEUE_FULL')
        expect(await add({ id: 'a' })).toMatchObject({ deduplicated: true })
        expect(await add({ id: 'elsewhere', queue: 'other' })).toMatchObject({ deduplicated: false })
        expect(await queue.getJobCounts('q')).toMatchObject({ waiting: 2, delayed: 1 })
        const gate = Promise.withResolvers<void>()
        await work(() => gate.promise.then(() => completed()))
        await reach('a', 'active')
        expect(await add({ id: 'd' })).toMatchObject({ deduplicated: false })
        expect(await codeOf(() => add({ id: 'e' }))).toBe('QUEUE_FULL')
        gate.resolve()
        await until('all that were due ran', async () => (await queue.getJobCounts('q')).completed === 3)
      },
      { maxQueueSize: 3 },
    ),
  )
}

function withoutMaxSize(test: QueueTest): void {
  it('rejects the option "maxQueueSize", which it does not declare', async () => {
    const opened = test(async () => {}, { maxQueueSize: 3 })
    expect(['OPTION_UNSUPPORTED', 'CONFIG_INVALID']).toContain(await codeOf(opened))
  })
}
