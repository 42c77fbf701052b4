import { expect, it } from 'vitest'
import { codeOf } from '../harness.ts'
import type { PresetTest } from './rig.ts'

/** A period that ends in the year 2286, so that no test reaches its end. */
const LONG = 10_000_000_000_000

/** Tests debounced and throttled jobs of one key. */
export function windowTests(test: PresetTest): void {
  it(
    'runs one job with the newest data when no more calls come',
    test(async ({ kernel, start, reach, until }) => {
      const ran: unknown[] = []
      await start({ w: [{ queue: 'w', debounce: { delay: 1000 } }, ({ data, id }) => (ran.push([id, data]), data)] })
      const queue = kernel.port('queue')
      // No window closes meanwhile, however slow the machine is.
      await queue.pause('w')
      const first = await kernel.enqueue('w', 1)
      const others = [await kernel.enqueue('w', 2), await kernel.enqueue('w', 3)]
      expect(first).toMatchObject({ queue: 'w', name: 'w', deduplicated: false })
      for (const job of others) expect(job).toEqual({ ...first, deduplicated: true })
      const long = await kernel.enqueue('w', 0, { debounce: { delay: 60_000, key: 'long' } })
      expect((await queue.getJob('w', long.id))?.state).toBe('delayed')
      await kernel.cancel(long)
      await queue.resume('w')
      await reach(first, 'completed')
      expect(ran).toEqual([[first.id, 3]])
      expect(await kernel.result(first)).toBe(3)
      const later = await kernel.enqueue('w', 4)
      expect(later).toMatchObject({ deduplicated: false })
      await until('the second window is over', () => ran.length === 2)
      expect(ran[1]).toEqual([later.id, 4])
    }),
  )

  it(
    'waits until no more calls come, but no longer than the maximum',
    test(async ({ kernel, start, reach, elapse, types }) => {
      await start({ w: [{ queue: 'w', debounce: { delay: 250, maxWait: 600 } }, ({ data }) => data] })
      /** Fills one window, and returns the types of its events and how many jobs it took in. */
      async function fill(): Promise<{ told: string[]; joined: number }> {
        const first = await kernel.enqueue('w', 0)
        const answers = [first]
        while (answers.at(-1)!.id === first.id) {
          await elapse(15)
          answers.push(await kernel.enqueue('w', answers.length))
        }
        await kernel.cancel(answers.at(-1)!)
        await reach(first, 'completed')
        // Only the last job of the window runs.
        expect(await kernel.result(first)).toBe(answers.length - 2)
        return { told: await types(first.runId), joined: answers.length - 1 }
      }
      // The window was checked, and jobs were still arriving. On a machine that stalls, it closes in the silence.
      let window = await fill()
      while (!window.told.includes('step.deferred')) window = await fill()
      expect(window.told.filter((type) => type === 'debounce.call')).toHaveLength(window.joined)
    }),
  )

  it(
    'opens a new window for calls that come while the job runs, and uses the same data in every attempt',
    test(async ({ kernel, start, reach, until }) => {
      const gate = Promise.withResolvers<void>()
      const ran: unknown[] = []
      await start({
        w: [
          { queue: 'w', debounce: { delay: 250 }, attempts: 2 },
          async ({ data, attempt }) => {
            ran.push([data, attempt])
            await gate.promise
            if (attempt === 1) throw new Error('again')
          },
        ],
      })
      await kernel.port('queue').pause('w')
      const first = await kernel.enqueue('w', 1)
      await kernel.enqueue('w', 2)
      await kernel.port('queue').resume('w')
      await until('it runs', () => ran.length === 1)
      const second = await kernel.enqueue('w', 3)
      expect(second.id).not.toBe(first.id)
      gate.resolve()
      await reach(first, 'completed')
      await reach(second, 'completed')
      const attempts = [1, 2].flatMap((attempt) => [
        [2, attempt],
        [3, attempt],
      ])
      expect(ran).toHaveLength(4)
      expect(ran).toEqual(expect.arrayContaining(attempts))
    }),
  )

  it(
    'counts events and moments that start a worker as calls',
    test(async ({ kernel, start, until, elapse }) => {
      const ran: string[] = []
      await start({
        index: [{ trigger: { type: 'event', event: 'edit' }, debounce: { delay: 400 } }, () => void ran.push('index')],
        report: [
          { trigger: { type: 'event', event: 'edit' }, throttle: { period: LONG } },
          () => void ran.push('report'),
        ],
        tick: [{ schedule: { every: 300 }, debounce: { delay: 10 } }, () => void ran.push('tick')],
      })
      await kernel.port('queue').pause('index')
      await kernel.sendEvent('edit', 1)
      await kernel.sendEvent('edit', 2)
      await kernel.port('queue').resume('index')
      await until('the debounced one has run', () => ran.includes('index') && ran.includes('report'))
      await until('its moments have run', () => ran.filter((one) => one === 'tick').length >= 2)
      await elapse(50)
      expect(ran.filter((one) => one !== 'tick').toSorted()).toEqual(['index', 'report'])
    }),
  )

  it(
    'debounces by key, by the call or by the data, also in a batch',
    test(async ({ kernel, start, reach }) => {
      const ran: unknown[] = []
      const key = (data: { doc: string }): string => data.doc
      await start({ w: [{ queue: 'w', debounce: { delay: 250, key } }, ({ data }) => void ran.push(data)] })
      const docs = ['a', 'b', 'a'].map((doc, n) => ({ worker: 'w', data: { doc, n } }))
      await kernel.port('queue').pause('w')
      const [a, b, again] = await kernel.enqueueMany(docs)
      await kernel.port('queue').resume('w')
      expect(again!.id).toBe(a!.id)
      expect(b!.id).not.toBe(a!.id)
      const own = await kernel.enqueue('w', { doc: 'a', n: 3 }, { debounce: { delay: 250, key: 'c' } })
      for (const job of [a!, b!, own]) await reach(job, 'completed')
      expect(ran).toHaveLength(3)
      expect(ran).toEqual(expect.arrayContaining([2, 1, 3].map((n) => expect.objectContaining({ n }))))
    }),
  )

  it(
    'opens a new window after one was cancelled',
    test(async ({ kernel, start, reach }) => {
      await start({ w: [{ queue: 'w', debounce: { delay: 20 } }, ({ data }) => data] })
      const first = await kernel.enqueue('w', 1, { debounce: { delay: 60_000 } })
      expect(await kernel.cancel(first)).toBe(true)
      const second = await kernel.enqueue('w', 2)
      expect(second).toMatchObject({ deduplicated: false })
      await reach(second, 'completed')
      expect(await kernel.result(second)).toBe(2)
      expect((await kernel.port('queue').getJob('w', first.id))?.state).toBe('cancelled')
    }),
  )

  it(
    'loses no simultaneous call while windows open and close',
    test(async ({ kernel, start, until, reach }) => {
      const ran: number[] = []
      await start({
        w: [{ queue: 'w', debounce: { delay: 3, maxWait: 6 } }, ({ data }) => void ran.push(Number(data))],
      })
      const jobs = []
      for (let n = 0; n < 60; n += 3) {
        jobs.push(...(await Promise.all([n, n + 1, n + 2].map((data) => kernel.enqueue('w', data)))))
      }
      for (const job of jobs) await reach(job, 'completed')
      await until('the newest has run', () => ran.includes(59))
      const windows = new Set(jobs.map(({ id }) => id))
      expect(ran).toHaveLength(windows.size)
      expect(ran.at(-1)).toBe(59)
      expect(ran).toEqual(ran.toSorted((a, b) => a - b))
    }),
  )

  it(
    'runs one job of a key in each period, and returns that job for dropped calls',
    test(async ({ kernel, start, reach, until }) => {
      const ran: unknown[] = []
      await start({ w: [{ queue: 'w', throttle: { period: LONG } }, ({ data }) => void ran.push(data)] })
      const [first, second] = await Promise.all([kernel.enqueue('w', 1), kernel.enqueue('w', 2)])
      expect(second).toEqual({ ...first, deduplicated: true })
      await reach(first, 'completed')
      // The period continues after the job has ended.
      await kernel.port('queue').remove('w', first.id)
      expect(await kernel.enqueue('w', 3)).toEqual({ ...first, deduplicated: true })
      const own = { throttle: { period: LONG, key: 'k' } }
      const other = await kernel.enqueue('w', 4, own)
      expect(other).toMatchObject({ deduplicated: false })
      expect(await kernel.enqueue('w', 5, own)).toEqual({ ...other, deduplicated: true })
      await until('both keys have run', () => ran.length === 2)
      expect(ran).toEqual([1, 4])
    }),
  )

  it(
    'runs as many jobs as a period allows, enqueued alone or in a batch',
    test(async ({ kernel, start, reach }) => {
      const ran: unknown[] = []
      const key = (data: { user: string }): string => data.user
      await start({
        w: [{ queue: 'w', throttle: { period: LONG, max: 3, key } }, ({ data }) => void ran.push(data)],
      })
      const users = ['a', 'a', 'b', 'a', 'a', 'a']
      const jobs = await kernel.enqueueMany(users.map((user, n) => ({ worker: 'w', data: { user, n } })))
      jobs.push(await kernel.enqueue('w', { user: 'b', n: 6 }))
      jobs.push(await kernel.enqueue('w', { user: 'a', n: 7 }))
      expect(jobs.map(({ deduplicated }) => deduplicated)).toEqual([
        false,
        false,
        false,
        false,
        true,
        true,
        false,
        true,
      ])
      for (const job of jobs) await reach(job, 'completed')
      expect(ran).toHaveLength(5)
    }),
  )

  it(
    'runs the next job when the period is over',
    test(async ({ kernel, start, reach, until }) => {
      await start({ w: [{ queue: 'w', throttle: { period: 150 } }, ({ data }) => data] })
      const first = await kernel.enqueue('w', 1)
      const later = await until('another job runs', async () => {
        const job = await kernel.enqueue('w', 2)
        return !job.deduplicated && job
      })
      expect(later.id).not.toBe(first.id)
      await reach(later, 'completed')
      expect(await kernel.result(later)).toBe(2)
    }),
  )

  it(
    'rejects options that exclude each other, and invalid values',
    test(async ({ kernel, start }) => {
      await start({ w: () => {}, flow: [{ flow: { name: 'f', role: 'entry' } }, () => {}] })
      const code = (options: object, worker = 'w'): Promise<unknown> => codeOf(() => kernel.enqueue(worker, 1, options))
      const debounce = { delay: 10 }
      const throttle = { period: 10 }
      const wrong = [
        ...[
          { debounce, delay: 5 },
          { debounce, id: 'a' },
          { debounce, throttle },
          { throttle, id: 'a' },
        ],
        ...[{ debounce: {} }, { debounce: 5 }, { debounce: { delay: -1 } }, { debounce: { delay: 1, wait: 2 } }],
        ...[{ throttle: {} }, { throttle: { period: 0 } }, { throttle: { period: 1, max: 0.5 } }],
        ...[{ debounce: { delay: 1, key: () => 7 } }, { throttle: { period: 1, key: 7 } }],
      ]
      for (const options of wrong) expect([options, await code(options)]).toEqual([options, 'OPTION_INVALID'])
      expect(await code({ debounce }, 'flow')).toBe('OPTION_INVALID')
      expect(await code({ throttle }, 'flow')).toBe('OPTION_INVALID')
      expect(await kernel.port('queue').getJobs()).toEqual([])
    }),
  )

  it(
    'does not run older data after newer data when an attempt of an earlier window is repeated',
    test(async ({ kernel, start, reach, until }) => {
      const ran: unknown[] = []
      await start({
        w: [
          { queue: 'w', debounce: { delay: 20 }, attempts: 2, backoff: 60_000 },
          ({ data }) => {
            ran.push(data)
            if (data === 'old') throw new Error('once')
          },
        ],
      })
      const old = await kernel.enqueue('w', 'old')
      await until('its first attempt has failed', () => ran.length === 1)
      await reach(old, 'delayed')
      const newer = await kernel.enqueue('w', 'new')
      await reach(newer, 'completed')
      await kernel.port('queue').promote('w', old.id)
      await reach(old, 'completed')
      expect(ran).toEqual(['old', 'new'])
    }),
  )
}
