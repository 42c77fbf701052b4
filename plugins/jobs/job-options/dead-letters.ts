import { createHash } from 'node:crypto'
import {
  isQueueError,
  type EnqueueResult,
  type EventDraft,
  type Job,
  type JobRecord,
  type Kernel,
  type SerializedError,
  type StoredJobOptions,
} from '../../../kernel/index.ts'

/** What the copy of a job that has failed for good carries as its data. */
export interface DeadLetter {
  /** Where it came from. */
  queue: string
  id: string
  data: unknown
  error: SerializedError
  /** Not told by releases before 0.7. */
  options?: StoredJobOptions
  priority?: number
  /** The flow it was a step of. */
  flow?: string
}

export interface RedriveOptions {
  /** At most this many. Default: all. */
  limit?: number
  /** Which ones. Default: all. */
  filter?: (letter: DeadLetter & { name: string }) => boolean
}

/** A dead letter that was moved. */
export interface Redriven {
  /** The id of the letter. */
  letter: string
  /** The job that runs in its place. */
  job: EnqueueResult
}

/** How many letters are looked at in one go. */
const PAGE = 100

export function letterOf({ id, queue, data, options, priority, flow }: Job, { data: end }: EventDraft): DeadLetter {
  const { error } = end as { error: SerializedError }
  return { queue, error, id, data, options, priority, ...(flow && { flow: flow.name }) }
}

export function createRedrive(kernel: Kernel) {
  /** The job first, under an id that tells the letter: whoever is stopped before the letter is gone stores no second one. */
  async function move({ id, queue, name }: JobRecord, letter: DeadLetter): Promise<Redriven> {
    const { data, options = {}, priority = 0 } = letter
    const createdAt = kernel.clock.now()
    const target = { id: `redrive.${digest(id)}`, queue: letter.queue, name }
    // Past the hooks of enqueueing, which the data and the options have been through.
    const job = {
      ...target,
      data,
      runId: kernel.newId(),
      options,
      priority,
      createdAt,
      runAt: createdAt,
      flow: undefined,
    }
    const receipt = await kernel.port('queue').enqueue(job)
    try {
      await kernel.port('queue').remove(queue, id)
    } catch (error) {
      // A worker of the dead letters has taken it meanwhile.
      if (!isQueueError(error, 'JOB_STATE')) throw error
    }
    return { letter: id, job: { ...receipt, queue: letter.queue, name } }
  }

  return async (queue: string, { limit = Infinity, filter = () => true }: RedriveOptions = {}): Promise<Redriven[]> => {
    const moved: Redriven[] = []
    /** What fails again meanwhile has another letter, which is not for this call. */
    const fresh = new Set<string>()
    for (let kept = 0; moved.length < limit;) {
      const query = { queue, states: ['waiting', 'delayed', 'failed'], limit: PAGE, offset: kept } as const
      const page = await kernel.port('queue').getJobs(query)
      if (page.length === 0) break
      for (const job of page) {
        const letter = job.data
        if (moved.length >= limit) break
        if (isLetter(letter) && !fresh.has(letter.id) && filter({ ...letter, name: job.name })) {
          const one = await move(job, letter)
          fresh.add(one.job.id)
          moved.push(one)
        } else kept++
      }
    }
    return moved
  }
}

/** Short, since the letter of a job that fails again tells its id. */
function digest(id: string): string {
  return createHash('sha256').update(id).digest('hex').slice(0, 32)
}

/** One that can go back. */
function isLetter(value: unknown): value is DeadLetter {
  if (typeof value !== 'object' || value === null) return false
  const { queue, id, error, flow } = value as Partial<DeadLetter>
  const named = typeof queue === 'string' && typeof id === 'string'
  return named && typeof error === 'object' && flow === undefined
}
