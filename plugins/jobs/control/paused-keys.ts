import { QueueError, type JobRecord, type PluginKernel } from '../../../kernel/index.ts'
import { createSharedDecisions } from '../../lib/shared-decisions.ts'

/** A key whose jobs wait, in one queue. */
export interface PausedKey {
  key: string
  /** When the key was paused, in milliseconds since the epoch. */
  since: number
}

/** For the plugin that holds the jobs of paused keys. */
export interface PausedKeyAccess {
  /** Returns the paused keys of a queue, as this instance knew them within the last 200 ms. */
  recent(queue: string): Promise<PausedKey[]>
  /** Announces that the caller holds the jobs of paused keys. Without it, keys cannot be paused. */
  enforce(): void
}

export interface PausedKeys {
  pause(queue: string, key: string): Promise<void>
  resume(queue: string, key: string): Promise<void>
  /** Returns the paused keys of a queue, in the order in which they were paused. */
  list(queue: string): Promise<PausedKey[]>
}

/** The most keys that are paused at once. Every process knows all of them. */
const MAX_KEYS = 1000
/** How many delayed jobs, and how many events of the run of one, a resume reads at once. */
const PAGE = 200

/**
 * Keeps which keys are paused. The plugin `limits` delays their jobs when they are claimed, and looks again later. `resume` makes the delayed
 * jobs due at once. If its process dies in between, the rest become due by themselves.
 */
export function createPausedKeys(kernel: PluginKernel): PausedKeys & { access: PausedKeyAccess } {
  const decisions = createSharedDecisions<PausedKey & { queue: string }>(kernel, 'pause')
  let isEnforced = false

  const nameOf = (queue: string, key: string): string => JSON.stringify([queue, key])
  const pausedIn = (all: Awaited<ReturnType<typeof decisions.current>>) =>
    [...all.values()].flatMap(({ saved, removed }) => (saved && !removed ? [saved] : []))

  /** Whether a job was last delayed because the key was paused, and not by a handler, a limit or a backoff. */
  async function isHeld({ id, runId, claims }: JobRecord, key: string): Promise<boolean> {
    if (claims === 0) return false
    const options = { types: ['step.retry', 'step.deferred'], reverse: true, limit: PAGE }
    for (let until: number | undefined; ;) {
      const events = await kernel.port('events').read(runId, { ...options, until })
      const last = events.find(({ stepId }) => stepId === id)
      if (last) return (last.data as { pausedKey?: string } | undefined)?.pausedKey === key
      if (events.length < PAGE) return false
      until = events.at(-1)!.seq - 1
    }
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

  const ofQueue = (queue: string, all: Awaited<ReturnType<typeof decisions.current>>): PausedKey[] =>
    pausedIn(all).flatMap(({ queue: own, key, since }) => (own === queue ? [{ key, since }] : []))

  const list = async (queue: string): Promise<PausedKey[]> => ofQueue(queue, await decisions.current())

  return {
    async pause(queue, key) {
      if (!isEnforced) {
        const message = 'Pausing a key needs the plugin "limits", which holds the jobs of the key. Add the plugin.'
        throw new QueueError('OPTION_UNSUPPORTED', message, { details: { option: 'key' } })
      }
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
    access: {
      recent: async (queue) => ofQueue(queue, await decisions.recent()),
      enforce: () => void (isEnforced = true),
    },
  }
}
