import { expect, it } from 'vitest'
import type { JobDraft, Settlement } from '../../../kernel/index.ts'
import { BAD_COUNTS, BAD_MOMENTS, BAD_PRIORITIES, BAD_TEXTS } from '../hostile.ts'
import { hostileRounds, picker } from '../random.ts'
import { completed, type QueueTest } from './rig.ts'

/** Returns a job that a store may reject. It goes to a queue without a worker. */
function hostileJob(random: () => number): Partial<JobDraft> {
  const pick = picker(random)
  const text = pick(BAD_TEXTS) as string
  const moment = pick(BAD_MOMENTS) as number
  const count = pick(BAD_COUNTS) as number
  const queue = 'bad'
  return pick<Partial<JobDraft>>([
    { queue, id: text },
    { queue: text },
    { queue, name: text },
    { queue, runId: text },
    { queue, runAt: moment },
    { queue, createdAt: moment },
    { queue, priority: pick(BAD_PRIORITIES) as number },
    { queue, options: { attempts: count } },
    { queue, options: { backoff: { type: 'exponential', delay: count, maxDelay: moment } } },
    { queue, options: { concurrencyKey: text, timeout: moment } },
    { queue, data: () => {} },
    { queue, flow: { name: text, step: text } },
  ])
}

/** Returns an outcome that a store may reject. */
function hostileEnd(random: () => number): Settlement {
  const pick = picker(random)
  const text = pick(BAD_TEXTS.filter((bad) => typeof bad === 'string'))
  const runAt = pick(BAD_MOMENTS) as number
  const error = { name: 'Error', message: 'boom' }
  return pick<Settlement>([
    { type: 'defer', runAt },
    { type: 'defer', runAt, holdQueue: true },
    { type: 'retry', error, runAt },
    { type: 'failed', error: { name: text, message: text, stack: text } },
    { type: 'completed', result: { '\0\ud800': text } },
  ])
}

/** Jobs that are stored or settled together share a call to the store, but must not affect each other. */
export function hostileTests(test: QueueTest): void {
  it(
    'stores valid jobs next to rejected ones, and runs each once',
    test(async ({ draft, queue, work, until }) => {
      const claims = await work(() => completed(), { concurrency: 5 })
      const wanted: string[] = []
      for (const [round, random] of hostileRounds()) {
        const sent = Array.from({ length: 24 }, async (_, index) => {
          if (random() < 0.3) {
            await Promise.resolve()
              .then(() => queue.enqueue(draft(hostileJob(random))))
              .catch(() => {})
            return
          }
          const id = `${round}-${index}`
          wanted.push(id)
          const receipt = await queue.enqueue(draft({ id, data: { round } }))
          expect(receipt).toEqual({ id, runId: `run-${id}`, deduplicated: false })
        })
        await Promise.all(sent)
      }
      await until('all good jobs have run', () => claims.length >= wanted.length)
      expect(claims.map(({ job }) => job.id).toSorted()).toEqual(wanted.toSorted())
      await until('their ends are stored', async () => (await queue.getJobCounts('q')).completed === wanted.length)
    }),
  )

  it(
    'settles valid jobs next to jobs whose outcome it rejects, which end as well',
    test(async ({ add, queue, work, until }) => {
      let jobs = 0
      const ends = new Map<string, Settlement>()
      const claims = await work(({ job }) => (job.claims > 1 ? completed() : ends.get(job.id)!), { concurrency: 10 })
      for (const [round, random] of hostileRounds()) {
        for (let index = 0; index < 24; index++, jobs++) {
          ends.set(`${round}-${index}`, random() < 0.3 ? hostileEnd(random) : completed({ round }))
        }
      }
      await Promise.all([...ends.keys()].map((id) => add({ id })))
      await until('all jobs have run', () => claims.length >= jobs)
      const ended = await until('all jobs have ended', async () => {
        const counts = await queue.getJobCounts('q')
        return counts.completed + counts.failed === jobs && counts
      })
      expect(ended).toMatchObject({ waiting: 0, delayed: 0, active: 0 })
      expect(claims.filter(({ job }) => job.claims === 1)).toHaveLength(jobs)
    }),
  )
}
