import { checkText, type DispatchPayload, type RateLimit, type WorkerDefinition } from '../../../kernel/index.ts'
import { rateOf } from '../../lib/rate-limit.ts'
import type { WorkerLimit } from './options.ts'

/** The limit that a job has reached, as `step.deferred` records it. */
export interface MetLimit {
  limit: 'concurrencyKey' | 'rateLimit' | 'limits' | 'singleton'
  /** The position in the option `limits`. */
  entry?: number
  key?: string
}

export interface PermitDemand {
  key: string
  /** How many jobs may have a permit of the key at once. */
  max: number
  met: MetLimit
}

export interface StartDemand {
  bucket: string
  rate: RateLimit
  /** Whether the limit counts all jobs of the worker, so that it may hold their queue. */
  ofAll: boolean
  met: MetLimit
}

/** A limit with the values that decide when it is asked. */
interface Entry {
  limit: WorkerLimit
  key: string | undefined
  met: MetLimit
}

/**
 * Returns the permits and the starts that a job needs, in the order in which it asks for them. Limits with keys come first, so that a job
 * that waits for its tenant does not take the permits that all tenants share. Limits of groups follow in the order of their names, so that
 * two workers never wait for each other.
 *
 * @throws QueueError `OPTION_INVALID` for a key that is not a string
 */
export function demandsOf({ job, worker }: DispatchPayload): { permits: PermitDemand[]; starts: StartDemand[] } {
  const { queue, name, options } = job
  const { concurrencyGroup: group, rateLimit, singleton } = worker.worker
  const entries = entriesOf(worker, job.data)
  const permits: PermitDemand[] = []
  const starts: StartDemand[] = []
  if (options.concurrencyKey !== undefined) {
    const of = group === undefined ? `${queue}/${name}` : `group ${group}`
    permits.push({ key: `${of}/${options.concurrencyKey}`, max: permitsOf(worker), met: { limit: 'concurrencyKey' } })
  }
  if (rateLimit) {
    const key = options.rateLimitKey
    const bucket = `${queue}/${name}${key === undefined ? '' : `/${key}`}`
    starts.push({ bucket, rate: rateOf(rateLimit), ofAll: key === undefined, met: { limit: 'rateLimit' } })
  }
  for (const { limit, key, met } of entries) {
    const { concurrency, rate, group: shared } = limit
    const of = shared === undefined ? `limit ${met.entry} ${queue}/${name}` : `group ${shared}`
    const counted = key === undefined ? of : `${of}/${key}`
    if (concurrency !== undefined) permits.push({ key: counted, max: concurrency, met })
    if (!rate) continue
    const ofAll = key === undefined && shared === undefined
    starts.push({ bucket: counted, rate: { max: rate.limit, duration: rate.period }, ofAll, met })
  }
  // Last, because it is of all jobs, so a job that waits for its key does not keep the others waiting.
  if (singleton) permits.push({ key: `singleton ${queue}/${name}`, max: 1, met: { limit: 'singleton' } })
  // A rate for all jobs is asked last, because a start that it refuses was already counted by the rates before it.
  starts.sort((a, b) => Number(a.ofAll) - Number(b.ofAll))
  return { permits, starts }
}

/** Computes the keys of the option `limits`, to report a key that is not a string to the caller of `enqueue`. */
export function checkKeysOf(worker: WorkerDefinition, data: unknown): void {
  entriesOf(worker, data)
}

function entriesOf({ id, worker: { limits = [] } }: WorkerDefinition, data: unknown): Entry[] {
  const entries = limits.map((limit, entry): Entry => {
    const { key: given } = limit
    const made: unknown = typeof given === 'function' ? given(data as never) : given
    const key = given === undefined ? undefined : checkText(`The key of "limits.${entry}" of worker "${id}"`, made)
    return { limit, key, met: { limit: 'limits', entry, ...(key !== undefined && { key }) } }
  })
  const rank = ({ limit: { key, group } }: Entry): number => (typeof key === 'function' ? 0 : 2) + (group ? 1 : 0)
  const nameOf = ({ limit: { group = '' } }: Entry): string => group
  return entries.toSorted((a, b) => rank(a) - rank(b) || (nameOf(a) < nameOf(b) ? -1 : nameOf(a) > nameOf(b) ? 1 : 0))
}

/** How many jobs of one concurrency key run at once. */
function permitsOf({ worker: { concurrencyPerKey = 1 } }: WorkerDefinition): number {
  return typeof concurrencyPerKey === 'number' ? concurrencyPerKey : concurrencyPerKey.limit
}
