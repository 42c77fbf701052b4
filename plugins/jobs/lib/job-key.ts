import { createHash } from 'node:crypto'
import { checkText, isText, QueueError, type EnqueuePayload, type JobDraft } from '../../../kernel/index.ts'

/** Jobs with the same key belong together: a string, or a function in a worker's config that returns a string for the data of a job. */
export type JobKey = string | ((data: never) => string)

/** Whether a value of the option `key` is valid. */
export function isJobKey(value: unknown): boolean {
  return value === '' || isText(value) || typeof value === 'function'
}

type Option = 'debounce' | 'throttle' | 'unique'

/**
 * Returns the key of a job for an option, as a string.
 *
 * @throws QueueError `OPTION_INVALID`
 */
export function jobKeyOf(option: Option, key: JobKey | undefined, { name, data }: JobDraft): string {
  const made: unknown = typeof key === 'function' ? key(data as never) : (key ?? '')
  return made === '' ? '' : checkText(`The key of "${option}" of job "${name}"`, made)
}

/** Returns a name of fixed length for the jobs with a key of a worker. */
export function jobKeyHash({ queue, name }: Pick<JobDraft, 'queue' | 'name'>, key: string): string {
  return createHash('sha256')
    .update(JSON.stringify([queue, name, key]))
    .digest('hex')
    .slice(0, 32)
}

/** @throws QueueError `OPTION_INVALID` for options that cannot be combined with an option that chooses ids */
export function refuseTogether(option: Option, payload: EnqueuePayload, others: Record<string, unknown>): void {
  const { job, options, worker } = payload
  const given = { id: options.id, db: options.db, flow: options.flow ?? worker?.worker.flow, ...others }
  const other = Object.entries(given).find(([, value]) => value !== undefined)?.[0]
  if (other === undefined) return
  const message = `Job "${job.name}" cannot have "${option}" together with "${other}". Remove one of them.`
  throw new QueueError('OPTION_INVALID', message, { details: { option, other } })
}
