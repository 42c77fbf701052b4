import { expect, it } from 'vitest'
import type { EnqueuedJob } from '../../../kernel/index.ts'
import { codeOf } from '../harness.ts'
import type { Handler, PresetTest } from './rig.ts'

/** Tests the order of jobs, and what happens to jobs that failed permanently. */
export function flowControlTests(test: PresetTest): void {
  it(
    'runs jobs that have waited long enough before jobs of higher priority',
    test(async ({ kernel, start, reach, elapse }) => {
      const ran: unknown[] = []
      await start({ w: [{ queue: 'w', ageing: 20 }, ({ data }) => void ran.push(data)] })
      await kernel.port('queue').pause('w')
      await kernel.enqueue('w', 'old')
      await kernel.enqueue('w', 'old too')
      await elapse(200)
      // This priority equals a hundred milliseconds of waiting, which is less than the other jobs have waited.
      await kernel.enqueue('w', 'urgent', { priority: 5 })
      await kernel.enqueue('w', 'vip', { priority: 1000 })
      await kernel.enqueue('w', 'patient', { priority: -1, ageing: 1 })
      const last = await kernel.enqueue('w', 'idle', { priority: -5 })
      await kernel.port('queue').resume('w')
      await reach(last, 'completed')
      expect(ran).toEqual(['vip', 'old', 'old too', 'urgent', 'patient', 'idle'])
    }),
  )

  it(
    'keeps the order of arrival of many ageing jobs, with the highest priority first',
    test(async ({ kernel, start, until }) => {
      const ran: number[] = []
      await start({ w: [{ queue: 'w', ageing: 60_000 }, ({ data }) => void ran.push(Number(data))] })
      await kernel.port('queue').pause('w')
      for (let n = 0; n < 30; n++) await kernel.enqueue('w', n, { priority: n % 3 })
      await kernel.port('queue').resume('w')
      await until('all have run', () => ran.length === 30)
      const expected = [2, 1, 0].flatMap((rest) => Array.from({ length: 10 }, (_, index) => 3 * index + rest))
      expect(ran).toEqual(expected)
    }),
  )

  it(
    'keeps the jobs of a paused key waiting in all processes until the key is resumed',
    test(async ({ kernel, start, reach, until, sibling }) => {
      const ran: unknown[] = []
      const work: Handler = ({ data }) => void ran.push(data)
      const isPaused = async (job: EnqueuedJob): Promise<boolean> => {
        const { state, reasons } = await kernel.explain(job)
        return state === 'delayed' && reasons[0]!.code === 'key-paused'
      }
      const acme = 'acme "\\ __proto__'
      const concurrencyPerKey = { key: (data: unknown) => String(data), limit: 5 }
      await start({ fair: [{ fairKey: (data) => String(data) }, work], limited: [{ concurrencyPerKey }, work] })
      const workers = ['fair', 'limited']
      for (const worker of workers) await kernel.queue(worker).pause({ key: acme })
      const held = await Promise.all(workers.map((worker) => kernel.enqueue(worker, acme)))
      const later = await kernel.enqueue('fair', acme, { delay: 3_600_000 })
      for (const worker of workers) await reach(await kernel.enqueue(worker, 'bob'), 'completed')
      for (const job of held) await until('it waits', () => isPaused(job))
      expect(ran).toEqual(['bob', 'bob'])

      const other = await sibling()
      expect(await other.queue('fair').pausedKeys()).toEqual([{ key: acme, since: expect.any(Number) as number }])
      expect(await other.queue('elsewhere').pausedKeys()).toEqual([])
      expect(await codeOf(() => other.queue('fair').pause({ key: '' }))).toBe('OPTION_INVALID')
      for (const worker of workers) await other.queue(worker).resume({ key: acme })
      expect(await kernel.queue('fair').isPaused({ key: acme })).toBe(false)
      for (const job of held) await reach(job, 'completed')
      expect(await later.state()).toBe('delayed')
    }),
  )

  it(
    'moves dead letters back, with their data and all their attempts',
    test(async ({ kernel, start, reach }) => {
      let broken = true
      const seen: unknown[] = []
      await start({
        w: [
          { queue: 'w', attempts: 2, deadLetter: 'dead' },
          ({ data, attempt, attempts }) => {
            seen.push([data, attempt, attempts])
            if (broken) throw new Error(`broken ${String(data)}`)
          },
        ],
      })
      for (const data of ['a', 'b']) await reach(await kernel.enqueue('w', data), 'failed')
      const third = await kernel.enqueue('w', 'c', { attempts: 3, priority: 2 })
      await reach(third, 'failed')
      await kernel.enqueue({ queue: 'dead', name: 'other' }, 'not a letter')
      broken = false
      seen.length = 0
      expect(await kernel.redrive('dead', { filter: ({ error }) => error.message === 'no such' })).toEqual([])
      const filtered = await kernel.redrive('dead', { filter: ({ data, name }) => data === 'c' && name === 'w' })
      expect(filtered).toMatchObject([{ job: { queue: 'w', name: 'w', deduplicated: false } }])
      expect(await reach(filtered[0]!.job, 'completed')).toMatchObject({ priority: 2, data: 'c' })
      expect(seen).toEqual([['c', 1, 3]])
      expect(await kernel.redrive('dead', { limit: 1 })).toHaveLength(1)
      const [last, ...none] = await kernel.redrive('dead')
      expect(none).toEqual([])
      await reach(last!.job, 'completed')
      expect(seen).toEqual([
        ['c', 1, 3],
        ['a', 1, 2],
        ['b', 1, 2],
      ])
      expect(await kernel.port('queue').getJobs({ queue: 'dead' })).toMatchObject([{ data: 'not a letter' }])
      expect(await kernel.redrive('dead')).toEqual([])
    }),
  )

  it(
    'passes all dead letters of a queue to its only worker, and moves back those on which it fails',
    test(async ({ kernel, start, reach, until }) => {
      let broken = true
      const got: unknown[] = []
      const fails = (): void => {
        if (broken) throw new Error('broken')
      }
      await start({
        mail: [{ queue: 'mail', deadLetter: 'dead' }, fails],
        report: [{ queue: 'report', deadLetter: 'dead' }, fails],
        undertaker: [
          { queue: 'dead' },
          ({ name, data }) => {
            got.push([name, (data as { data: unknown }).data])
            if (name === 'report') throw new Error('not this one')
          },
        ],
      })
      await reach(await kernel.enqueue('mail', 1), 'failed')
      const report = await kernel.enqueue('report', 2)
      await reach(report, 'failed')
      const failed = await until('a letter has failed', async () => {
        const letters = await kernel.port('queue').getJobs({ queue: 'dead', states: ['failed'] })
        return letters.length === 1 && letters
      })
      expect(failed).toMatchObject([{ name: 'report', error: { message: 'not this one' } }])
      await until('the other one was handled', () => got.length === 2)
      expect(got).toEqual(
        expect.arrayContaining([
          ['mail', 1],
          ['report', 2],
        ]),
      )
      broken = false
      const [moved, ...none] = await kernel.redrive('dead')
      expect(none).toEqual([])
      expect(moved).toMatchObject({ letter: failed[0]!.id, job: { queue: 'report', name: 'report' } })
      await reach(moved!.job, 'completed')
    }),
  )

  it(
    'duplicates no job when it is stopped before the dead letter is removed',
    test(async ({ kernel, start, reach }) => {
      let runs = 0
      await start({
        w: [
          { queue: 'w', deadLetter: 'dead' },
          () => {
            if (++runs === 1) throw new Error('broken')
          },
        ],
      })
      await reach(await kernel.enqueue('w', 'a'), 'failed')
      const [letter] = await kernel.port('queue').getJobs({ queue: 'dead' })
      const [moved] = await kernel.redrive('dead')
      await reach(moved!.job, 'completed')
      // This is the state that a process leaves if it dies between the two writes.
      const { id, name, data, runId, options, priority, createdAt, runAt } = letter!
      const left = { id, queue: 'dead', name, data, runId, options, priority, createdAt, runAt, flow: undefined }
      await kernel.port('queue').enqueue(left)
      const again = await kernel.redrive('dead')
      expect(again).toMatchObject([{ letter: id, job: { id: moved!.job.id, deduplicated: true } }])
      expect(await kernel.port('queue').getJobs({ queue: 'dead' })).toEqual([])
      expect(runs).toBe(2)
    }),
  )

  it(
    'writes a new dead letter when a job that was moved back fails again',
    test(async ({ kernel, start, reach, until }) => {
      await start({
        w: [
          { queue: 'w', deadLetter: 'dead' },
          () => {
            throw new Error('still broken')
          },
        ],
      })
      await reach(await kernel.enqueue('w', 'a'), 'failed')
      const [first, ...more] = await kernel.redrive('dead')
      expect(more).toEqual([])
      await reach(first!.job, 'failed')
      const letters = await until('there is another letter', async () => {
        const found = await kernel.port('queue').getJobs({ queue: 'dead' })
        return found.length > 0 && found
      })
      expect(letters).toMatchObject([{ data: { queue: 'w', id: first!.job.id, data: 'a' } }])
      expect(letters[0]!.id).not.toBe(first!.letter)
    }),
  )

  it(
    'rejects invalid options',
    test(async ({ kernel, start }) => {
      await start({ w: () => {} })
      expect(await codeOf(() => kernel.enqueue('w', null, { ageing: 0 }))).toBe('OPTION_INVALID')
    }),
  )
}
