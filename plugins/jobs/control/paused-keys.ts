import {
  QueueError,
  type DispatchPayload,
  type JobRecord,
  type PluginKernel,
  type RunContext,
} from '../../../kernel/index.ts'
import { createSharedDecisions } from '../../lib/shared-decisions.ts'
import { watchOutage } from '../../lib/outage.ts'
import { hasKeys, keysOf } from '../lib/limit-keys.ts'

/** A key whose jobs wait, in one queue. */
export interface PausedKey {
  key: string
  /** When the key was paused, in milliseconds since the epoch. */
  since: number
}

export interface PausedKeys {
  pause(queue: string, key: string): Promise<void>
  resume(queue: string, key: string): Promise<void>
  /** Returns the paused keys of a queue, in the order in which they were paused. */
  list(queue: string): Promise<PausedKey[]>
}

/** The most keys that are paused at once. Every process knows all of them. */
const MAX_KEYS = 1000
/** The first and the longest delay of a job of a paused key, in milliseconds. The delay grows with the time that the key is paused. */
const MIN_DELAY = 1000
const MAX_DELAY = 600_000
/** How many delayed jobs a resume reads at once. */
const PAGE = 200

/**
 * Keeps jobs of paused keys from running. Such a job is delayed when it is claimed, and looks again later. `resume` makes the delayed jobs
 * due at once. If its process dies in between, the rest become due by themselves, after at most `MAX_DELAY`.
 */
export function createPausedKeys(kernel: PluginKernel): PausedKeys {
  const decisions = createSharedDecisions<PausedKey & { queue: string }>(kernel, 'pause')
  /** The key because of which an attempt was deferred. `step.deferred` records it. */
  const deferred = new WeakMap<RunContext, string>()
  const outage = watchOutage({
    away: (error) => kernel.reporter.warn('Paused keys cannot be read. The jobs with keys run later.', error),
    back: () => kernel.reporter.warn('Paused keys can be read again.'),
  })

  const nameOf = (queue: string, key: string): string => JSON.stringify([queue, key])
  const pausedIn = (all: Awaited<ReturnType<typeof decisions.current>>) =>
    [...all.values()].flatMap(({ saved, removed }) => (saved && !removed ? [saved] : []))

  /** Returns the pause that a job has to wait for. */
  async function pauseOf({ job, worker }: DispatchPayload): Promise<PausedKey | undefined> {
    const paused = pausedIn(await decisions.recent()).filter(({ queue }) => queue === job.queue)
    if (paused.length === 0) return undefined
    const { fairKey: own } = worker.worker
    const fairKey = job.options.fairKey ?? (typeof own === 'function' ? own(job.data as never) : own)
    const { concurrencyKey } = keysOf(job, worker)
    return paused.find(({ key }) => key === fairKey || key === concurrencyKey)
  }

  kernel.hook(
    'dispatch',
    async (dispatch, next) => {
      const { ctx } = dispatch
      let pause: PausedKey | undefined
      try {
        pause = await pauseOf(dispatch)
        outage.worked()
      } catch (error) {
        outage.failed(error)
        dispatch.result = ctx.defer({ delay: MIN_DELAY })
        return
      }
      if (!pause) return next()
      deferred.set(ctx, pause.key)
      const age = kernel.clock.now() - pause.since
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
  kernel.hook(
    'emit',
    ({ ctx, events: [event] }, next) => {
      event!.data = { ...(event!.data as object), pausedKey: deferred.get(ctx!) }
      return next()
    },
    { when: ({ ctx, events }) => events[0]?.type === 'step.deferred' && ctx !== undefined && deferred.has(ctx) },
  )

  /** Whether a job was last delayed because the key was paused, and not by a handler, a limit or a backoff. */
  async function isHeld({ id, runId, claims }: JobRecord, key: string): Promise<boolean> {
    if (claims === 0) return false
    const types = ['step.retry', 'step.deferred']
    const events = await kernel.port('events').read(runId, { types })
    const last = events.findLast(({ stepId }) => stepId === id)
    return (last?.data as { pausedKey?: string } | undefined)?.pausedKey === key
  }

  async function promoteHeld(queue: string, key: string): Promise<void> {
    const port = kernel.port('queue')
    for (let offset = 0; ;) {
      const page = await port.getJobs({ queue, states: ['delayed'], limit: PAGE, offset })
      if (page.length === 0) return
      const held = await Promise.all(page.map((job) => isHeld(job, key)))
      for (const [index, { id }] of page.entries()) {
        if (!held[index] || !(await port.promote(queue, id))) offset++
      }
    }
  }

  async function list(queue: string): Promise<PausedKey[]> {
    const paused = pausedIn(await decisions.current()).filter((one) => one.queue === queue)
    return paused.map(({ key, since }) => ({ key, since }))
  }

  return {
    async pause(queue, key) {
      const all = pausedIn(await decisions.current())
      if (all.some((one) => one.queue === queue && one.key === key)) return
      if (all.length >= MAX_KEYS) {
        const hint = `Resume some, or pause whole queues.`
        throw new QueueError('OPTION_INVALID', `At most ${MAX_KEYS} keys can be paused, and ${all.length} are. ${hint}`)
      }
      const saved = { queue, key, since: kernel.clock.now() }
      await decisions.decide(nameOf(queue, key), { verb: 'saved', saved }, true)
    },
    async resume(queue, key) {
      const paused = await list(queue)
      if (paused.some((one) => one.key === key)) await decisions.decide(nameOf(queue, key), { verb: 'removed' }, true)
      // A process that died during an earlier resume may have left delayed jobs.
      await promoteHeld(queue, key)
    },
    list,
  }
}
