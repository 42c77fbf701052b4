import { createHash } from 'node:crypto'
import {
  isHeaders,
  isPriority,
  isQueueError,
  isReserved,
  isText,
  MAX_COMPOSED_BYTES,
  type EnqueueResult,
  type EventDraft,
  type Job,
  type JobRecord,
  type Kernel,
  type SerializedError,
  type StoredJobOptions,
} from '../../../kernel/index.ts'
import { checkFunction, checkLimit, checkOptions } from '../../lib/check-options.ts'
import type { JobOptionRules } from './rules.ts'

/** The data of a dead letter: a copy of a job that has failed permanently. */
export interface DeadLetter {
  /** The queue of the failed job. */
  queue: string
  id: string
  data: unknown
  error: SerializedError
  /** Absent in dead letters of releases before 0.7. */
  options?: StoredJobOptions
  priority?: number
  tags?: readonly string[]
  headers?: Readonly<Record<string, string>>
  /** The flow of which the job was a step. */
  flow?: string
}

export interface RedriveOptions {
  /** The maximum number of dead letters to move. Default: no limit. */
  limit?: number
  /** Selects the dead letters to move. Default: all. */
  filter?: (letter: DeadLetter & { name: string }) => boolean
}

/** A dead letter that was moved. */
export interface Redriven {
  /** The id of the letter. */
  letter: string
  /** The job that replaces the dead letter. */
  job: EnqueueResult
}

/** The number of dead letters in one read. */
const PAGE = 100

export function letterOf(
  { id, queue, data, options, priority, flow, tags, headers }: Job,
  { data: end }: EventDraft,
): DeadLetter {
  const { error } = end as { error: SerializedError }
  return {
    queue,
    error,
    id,
    data,
    options,
    priority,
    ...(tags.length > 0 && { tags }),
    ...(Object.keys(headers).length > 0 && { headers }),
    ...(flow && { flow: flow.name }),
  }
}

export function createRedrive(kernel: Kernel, rules: JobOptionRules) {
  /** Stores the job first, under an id derived from the letter, so that a repeated call stores no second job. */
  async function move({ id, queue, name }: JobRecord, letter: DeadLetter): Promise<Redriven> {
    const { data, options = {}, priority = 0, tags, headers } = letter
    const createdAt = kernel.clock.now()
    const target = { id: `redrive.${digest(id)}`, queue: letter.queue, name }
    // Skips the `enqueue` hooks, because data and options have already passed through them.
    const job = {
      ...target,
      data,
      runId: kernel.newId(),
      options,
      priority,
      createdAt,
      runAt: createdAt,
      flow: undefined,
      tags,
      headers,
    }
    const receipt = await kernel.port('queue').enqueue(job)
    try {
      await kernel.port('queue').remove(queue, id)
    } catch (error) {
      // A worker of the dead-letter queue has claimed the letter in the meantime.
      if (!isQueueError(error, 'JOB_STATE')) throw error
    }
    return { letter: id, job: { ...receipt, queue: letter.queue, name } }
  }

  async function redrive(queue: string, options: RedriveOptions = {}): Promise<Redriven[]> {
    const { limit = Infinity, filter = () => true } = checkOptions('redrive()', options, {
      limit: checkLimit,
      filter: checkFunction,
    })
    const moved: Redriven[] = []
    /** A job that fails again in the meantime has a new letter, which this call does not move. */
    const fresh = new Set<string>()
    for (let kept = 0; moved.length < limit;) {
      const query = { queue, states: ['waiting', 'delayed', 'failed'], limit: PAGE, offset: kept } as const
      const page = await kernel.port('queue').getJobs(query)
      if (page.length === 0) break
      for (const job of page) {
        const letter = job.data
        if (moved.length >= limit) break
        if (isLetter(letter, rules) && !fresh.has(letter.id) && filter({ ...letter, name: job.name })) {
          const one = await move(job, letter)
          fresh.add(one.job.id)
          moved.push(one)
        } else kept++
      }
    }
    return moved
  }

  return {
    redrive,
    /** Moves one dead letter back. Returns `undefined` for a job that is not a dead letter. */
    redriveLetter: async (job: JobRecord): Promise<Redriven | undefined> =>
      isLetter(job.data, rules) ? move(job, job.data) : undefined,
  }
}

/** Returns a short id, because the dead letter of a job that fails again contains it. */
function digest(id: string): string {
  return createHash('sha256').update(id).digest('hex').slice(0, 32)
}

/** Whether a dead letter can be moved back. Any caller may have enqueued such a job, so the letter must not name a queue of plugins. */
function isLetter(value: unknown, rules: JobOptionRules): value is DeadLetter {
  if (typeof value !== 'object' || value === null) return false
  const { queue, id, error, flow, options, priority = 0, headers = {} } = value as Partial<DeadLetter>
  const named = isText(queue) && isText(id, MAX_COMPOSED_BYTES) && !isReserved('queue', queue)
  const isSound = isPriority(priority) && areOptions(options, rules) && isHeaders(headers)
  return named && typeof error === 'object' && flow === undefined && isSound
}

function areOptions(options: unknown = {}, rules: JobOptionRules): boolean {
  if (typeof options !== 'object' || options === null) return false
  try {
    rules.check(Object.fromEntries(Object.entries(options).filter(([key]) => rules.has(key))), 'a dead letter')
    return true
  } catch {
    return false
  }
}
