import { expect, it } from 'vitest'
import type { JobRecord } from '../../../kernel/index.ts'
import { hostileErrors } from '../hostile-errors.ts'
import { completed, queueWorker, type QueueTest } from './rig.ts'

/** Tests that a job ends even if its outcome cannot be stored, and that nothing is repeated forever. */
export function failureTests(test: QueueTest, { shared }: { shared: boolean }): void {
  for (const [what, makeError] of Object.entries(hostileErrors)) {
    it(
      `ends a job whose handler throws ${what}, after its attempts`,
      test(async ({ kernel, reach }) => {
        let ran = 0
        const app = await kernel([
          queueWorker(() => {
            ran++
            throw makeError()
          }),
        ])
        const job = await app.enqueue('w', null, { attempts: 2 })
        const { error, attemptsMade } = await reach(job.id, 'failed')
        expect({ ran, attemptsMade }).toEqual({ ran: 2, attemptsMade: 2 })
        expect(typeof error!.message).toBe('string')
        expect(JSON.stringify(error).length).toBeLessThan(200_000)
        const end = await app.port('events').byKey(job.runId, `end:${job.id}`)
        expect(end).toMatchObject({ type: 'step.failed', data: { error: { message: error!.message } } })
        expect(await app.result(job).catch((thrown: Error) => thrown.message)).toBe(error!.message)
      }),
    )
  }

  it(
    'fails an attempt whose result throws when it is read, without an effect on other jobs',
    test(async ({ kernel, reach }) => {
      const hostile = (): object => ({
        get value() {
          throw new Error('not for you')
        },
      })
      const app = await kernel([
        queueWorker(({ data }) => (data === 'hostile' ? hostile() : data), { concurrency: 5 }),
        { id: 'proxy', config: { queue: 'p' }, handler: () => ({ deep: revoked() }) },
      ])
      const jobs = await app.enqueueMany(['a', 'hostile', 'b'].map((data) => ({ worker: 'w', data })))
      const proxy = await app.enqueue('proxy')
      expect(await reach(jobs[1]!.id, 'failed')).toMatchObject({ error: { code: 'VALUE_UNSUPPORTED' } })
      expect(await reach(proxy.id, 'failed', 'p')).toMatchObject({ error: { code: 'VALUE_UNSUPPORTED' } })
      await reach(jobs[0]!.id, 'completed')
      await reach(jobs[2]!.id, 'completed')
    }),
  )

  it(
    'ends a job whose outcome the log permanently rejects, with a smaller error or without one',
    test(async ({ kernel, reach, reports }) => {
      const app = await kernel(
        [
          queueWorker(() => {
            throw new Error('boom '.repeat(100))
          }),
        ],
        { payloadLimit: 400 },
      )
      const job = await app.enqueue('w', null, { attempts: 2 })
      const { error, attemptsMade } = await reach(job.id, 'failed')
      expect(attemptsMade).toBe(2)
      expect(error).toMatchObject({ code: 'PAYLOAD_TOO_LARGE' })
      expect(reports).toContainEqual(expect.objectContaining({ level: 'error' }))
      await expect(app.result(job)).rejects.toMatchObject({ code: 'PAYLOAD_TOO_LARGE' })
    }),
  )

  it(
    'retries a job whose outcome can never be logged with growing pauses, and reports it',
    test(async ({ kernel, reach, reports }) => {
      let ran = 0
      const app = await kernel([queueWorker(() => void ran++)], { maxCrashes: 2 })
      app.hook('emit', (payload, next) => {
        if (payload.events.some(({ type }) => type === 'step.completed')) throw new Error('the plugin is broken')
        return next()
      })
      const job = await app.enqueue('w')
      const { error, crashes } = await reach(job.id, 'failed')
      expect(error).toMatchObject({ code: 'JOB_CRASHED', cause: { code: 'HOOK_FAILED' } })
      expect({ ran, crashes }).toEqual({ ran: 2, crashes: 1 })
      expect(reports.map(({ message }) => message)).toContainEqual(expect.stringContaining('1 of 2 times'))
      await expect(app.result(job)).rejects.toMatchObject({ code: 'JOB_CRASHED' })
    }),
  )

  it(
    'counts a crash for a job that returned without an outcome',
    test(async ({ add, work, reach, now }) => {
      const seen: Pick<JobRecord, 'crashes' | 'attemptsMade'>[] = []
      await work(({ job: { crashes, attemptsMade } }) => {
        seen.push({ crashes, attemptsMade })
        return crashes < 2 ? { type: 'defer', runAt: now() + 10, crashed: true } : completed()
      })
      await add({ id: 'a' })
      expect(await reach('a', 'completed')).toMatchObject({ crashes: 2, attemptsMade: 0, claims: 3 })
      expect(seen.map(({ crashes }) => crashes)).toEqual([0, 1, 2])
    }),
  )

  const lapses = { shared: lapseTests, alone: (): void => {} }
  lapses[shared ? 'shared' : 'alone'](test)
}

/** If several processes share a queue, a lease may expire although its process is alive. */
function lapseTests(test: QueueTest): void {
  it(
    'reverts the crash of a job whose process is alive, and counts a lapse',
    test(async ({ add, work, now, get, until }) => {
      const seen = await work(({ job }) =>
        job.crashes === 0 ? { type: 'defer', runAt: now(), crashed: true } : { type: 'lost' },
      )
      await add({ id: 'a' })
      await until('the lapse is counted', async () => (await get('a')).lapses === 1)
      expect(await get('a')).toMatchObject({ claims: 2, crashes: 0, state: 'active' })
      expect(seen.map(({ job }) => job.crashes)).toEqual([0, 1])
    }),
  )
}

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}
