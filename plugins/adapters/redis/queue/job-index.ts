import { defineScript, type RedisPort } from '../lib/redis.ts'
import { REPAIR, SWEEP_INDEX } from './index-lua.ts'
import type { Queues } from './queues.ts'

/** The maximum number of entries that one call reads, because a script blocks Redis. */
const PAGE = 500
/** The number of keys of a queue that contain jobs (`kept` in `index-lua.ts`). */
const KEPT_KEYS = 9
/** After a repair, searches of the queue do not repair again for its duration times this factor. */
const REPAIR_PAUSE_FACTOR = 20

/**
 * Creates the function that completes the indexes of a queue. Scripts of this plugin keep them complete, but BullMQ clients and earlier
 * releases add and remove jobs without them. The difference between the number of entries and the number of jobs is the gap. The cost of a
 * repair grows with the size of the queue. Repairs are rare, and stop as soon as the gap is closed.
 *
 * @returns a function that resolves with false if there was nothing to repair
 */
export function createIndexRepair(redis: RedisPort, queues: Queues): (queue: string, gap: number) => Promise<boolean> {
  const repair = defineScript(redis, REPAIR)
  const sweep = defineScript(redis, SWEEP_INDEX)
  const running = new Map<string, Promise<void>>()
  /** The gap that a repair could not close, for example entries without a job in the lists of BullMQ. */
  const accepted = new Map<string, { gap: number; until: number }>()

  async function addMissing(base: string): Promise<number> {
    let gap = 0
    for (let key = 1; key <= KEPT_KEYS; key++) {
      for (let offset = 0; ; offset += PAGE) {
        const [read, left] = (await repair([`${base}:meta`], [base, key, offset, PAGE])) as [number, number]
        gap = left
        if (gap === 0 || read < PAGE) break
      }
      if (gap === 0) return 0
    }
    return gap
  }

  async function removeStale(base: string): Promise<void> {
    for (const name of await redis.client.smembers(`${base}:nq-names`)) {
      for (let offset = 0; ;) {
        const [read, removed] = (await sweep([`${base}:meta`], [base, `n:${name}`, offset, PAGE])) as [number, number]
        if (read < PAGE) break
        offset += read - removed
      }
    }
  }

  async function run(queue: string): Promise<void> {
    const base = queues.baseOf(queue)
    const began = performance.now()
    let gap = await addMissing(base)
    if (gap !== 0) {
      await removeStale(base)
      gap = await addMissing(base)
    }
    const now = performance.now()
    accepted.set(queue, { gap, until: now + REPAIR_PAUSE_FACTOR * (now - began) })
  }

  return async (queue, gap) => {
    const known = accepted.get(queue)
    if (gap === (known?.gap ?? 0) || (known && known.until > performance.now())) return false
    let repairing = running.get(queue)
    if (!repairing) {
      repairing = run(queue).finally(() => running.delete(queue))
      running.set(queue, repairing)
    }
    await repairing
    return true
  }
}
