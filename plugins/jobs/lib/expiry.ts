import type { Kernel, StoredEvent } from '../../../kernel/index.ts'

/** The events that show whether a job has begun. */
const TYPES = ['step.started', 'step.deferred', 'step.retry', 'step.completed', 'step.failed', 'step.cancelled']
/** How many events are read at once. */
const PAGE = 500

/** A job that was claimed before, at its next or current claim. */
interface Claimed {
  id: string
  runId: string
  claim: number
  /** When the job was due for this claim, in milliseconds since the epoch. */
  dueAt: number
  /** The option `expiresIn` of the job. */
  expiresIn: number
}

/**
 * Returns the moment after which a job must not begin, or `undefined` if it has begun before. A job that waited for a limit, and was
 * therefore claimed before without beginning, keeps the moment of its first claim, which is in the log.
 *
 * ```
 * the newest event of the job        the job must not begin after
 * none, or its end before a retry    dueAt + expiresIn
 * step.deferred with expiresAt       expiresAt: a limit held it back
 * step.deferred, step.retry          – (it has begun)
 * step.started                       – (it has begun), or 0 if it had expired then
 * ```
 */
export async function expiryOf(kernel: Pick<Kernel, 'port'>, job: Claimed): Promise<number | undefined> {
  const first = job.dueAt + job.expiresIn
  const events = kernel.port('events')
  for (let before: { until?: number } = {}; ;) {
    const page = await events.read(job.runId, { types: TYPES, ...before, reverse: true, limit: PAGE })
    for (const event of page) {
      const found = event.stepId === job.id ? readExpiry(event, job.claim) : undefined
      if (found) return found.at === 'first' ? first : found.at
    }
    if (page.length < PAGE) return first
    before = { until: page.at(-1)!.seq - 1 }
  }
}

/** Returns what one event says about the expiry of a job, or `undefined` if it says nothing. */
function readExpiry({ type, data }: StoredEvent, current: number): { at: number | 'first' | undefined } | undefined {
  const { claim, expired, expiresAt, reason } = Object(data) as Partial<Record<string, unknown>>
  if (type === 'step.started') {
    if (claim === current) return undefined
    // The process that found the job expired may have died before it stored the end.
    return { at: expired === true ? 0 : undefined }
  }
  if (type === 'step.deferred') {
    if (reason !== undefined) return undefined
    return { at: typeof expiresAt === 'number' ? expiresAt : undefined }
  }
  return { at: type === 'step.retry' ? undefined : 'first' }
}
