import type { DispatchPayload, PluginKernel, RunContext } from '../../../kernel/index.ts'
import { watchOutage } from '../../lib/outage.ts'
import { hasKeys, limitKeysOf } from './keys.ts'

/** The first and the longest delay of a job of a paused key, in milliseconds. The delay grows with the time that the key is paused. */
const MIN_DELAY = 1000
const MAX_DELAY = 600_000

type Paused = Required<PluginKernel>['pausedKeys']

/**
 * Delays the jobs of paused keys when they are claimed, without using up an attempt. They look again later, and at the latest after
 * `MAX_DELAY`. `resume` makes them due at once.
 *
 * @param record records in `step.deferred` why an attempt was deferred
 */
export function holdPausedKeys(
  kernel: PluginKernel,
  paused: Paused,
  record: (ctx: RunContext, reason: { pausedKey: string }) => void,
): void {
  paused.enforce()
  const outage = watchOutage({
    away: (error) => kernel.reporter.warn('Paused keys cannot be read. The jobs with keys run later.', error),
    back: () => kernel.reporter.warn('Paused keys can be read again.'),
  })

  /** Returns the paused keys of a queue, or `undefined` if the store is unavailable. */
  async function read(queue: string): Promise<Awaited<ReturnType<Paused['recent']>> | undefined> {
    try {
      const keys = await paused.recent(queue)
      outage.worked()
      return keys
    } catch (error) {
      outage.failed(error)
      return undefined
    }
  }

  /** Returns the keys of a job. A producer that does not know the worker stores no keys. */
  function keysOfJob({ job, worker }: DispatchPayload): (string | undefined)[] {
    const { fairKey: own } = worker.worker
    const fairKey = job.options.fairKey ?? (typeof own === 'function' ? own(job.data as never) : own)
    return [fairKey, limitKeysOf(job, worker).concurrencyKey]
  }

  kernel.hook(
    'dispatch',
    async (dispatch, next) => {
      const { ctx, job } = dispatch
      const keys = await read(job.queue)
      if (keys?.length === 0) return next()
      const own = keysOfJob(dispatch)
      const pause = keys?.find(({ key }) => own.includes(key))
      if (keys && !pause) return next()
      if (pause) record(ctx, { pausedKey: pause.key })
      const age = pause ? kernel.clock.now() - pause.since : 0
      dispatch.result = ctx.defer({ delay: Math.round(Math.min(MAX_DELAY, Math.max(MIN_DELAY, age / 2))) })
    },
    {
      when: ({ job: { options }, worker }) =>
        options.fairKey !== undefined ||
        options.concurrencyKey !== undefined ||
        worker.worker.fairKey !== undefined ||
        hasKeys(worker),
    },
  )
}
