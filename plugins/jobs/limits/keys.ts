import { checkText, type Job, type JobDraft, type WorkerDefinition } from '../../../kernel/index.ts'
import type { JobKey } from '../lib/job-key.ts'

/** The keys under which the limits of a worker count a job. */
export interface LimitKeys {
  concurrencyKey?: string
  rateLimitKey?: string
}

/** Whether a worker derives keys from the data of its jobs. */
export function hasKeys({ worker: { concurrencyPerKey, rateLimit } }: WorkerDefinition): boolean {
  return typeof concurrencyPerKey === 'object' || rateLimit?.key !== undefined
}

/**
 * Returns the keys of a job: the keys in its options, or else the keys that its worker derives from its data.
 *
 * @throws QueueError `OPTION_INVALID` for a key that is not a string
 */
export function limitKeysOf(job: Job | JobDraft, { worker }: WorkerDefinition): LimitKeys {
  const { concurrencyPerKey, rateLimit } = worker
  const perKey = typeof concurrencyPerKey === 'object' ? concurrencyPerKey.key : undefined
  const concurrencyKey = job.options.concurrencyKey ?? make('concurrencyPerKey', perKey, job)
  const rateLimitKey = job.options.rateLimitKey ?? make('rateLimit', rateLimit?.key, job)
  return {
    ...(concurrencyKey !== undefined && { concurrencyKey }),
    ...(rateLimitKey !== undefined && { rateLimitKey }),
  }
}

function make(option: string, key: JobKey | undefined, { name, data }: Job | JobDraft): string | undefined {
  if (key === undefined) return undefined
  return checkText(`The key of "${option}" of job "${name}"`, typeof key === 'function' ? key(data as never) : key)
}
