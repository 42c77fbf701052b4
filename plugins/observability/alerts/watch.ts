import {
  cutText,
  isReserved,
  redactText,
  type EmitPayload,
  type EventDraft,
  type Next,
  type PluginKernel,
  type SerializedError,
} from '../../../kernel/index.ts'
import { storedEnd } from '../../lib/stored-end.ts'
import { SCHEDULE_QUEUE, type TickData } from '../../flow/lib/schedule-tick.ts'
import type { Notices } from './notices.ts'
import { queueFilter, type ActiveRules } from './options.ts'

/** The maximum length of an error message in an alert, in characters. */
const MAX_MESSAGE = 200

/**
 * Watches how jobs end in this process. A finding is stored before the job is acknowledged: if the process dies in between, the job is
 * delivered again, and its end is found again.
 */
export function watchJobs(kernel: PluginKernel, rules: ActiveRules, record: Notices['record']): void {
  const failed = rules['worker-failed']
  const letters = rules['dead-letters']
  const missed = rules['schedule-missed']
  const watchesFailed = queueFilter(failed?.queues)
  const watchesLetters = queueFilter(letters?.queues)

  const isLate = ({ startedAt, dueAt }: NonNullable<EmitPayload['ctx']>): boolean =>
    missed !== undefined && startedAt - dueAt > missed.late

  /** Every event of a job passes here, so this looks at its type first. */
  function isWatched({ ctx, events }: EmitPayload): boolean {
    const type = events.at(-1)?.type
    if (type !== 'step.failed' && type !== 'step.started') return false
    if (ctx === undefined) return false
    const { queue } = ctx.job
    if (queue === SCHEDULE_QUEUE) return missed !== undefined && (type === 'step.failed' || isLate(ctx))
    // Only a job that was claimed before can already have an end.
    return (type === 'step.failed' || ctx.claim > 1) && !isReserved('queue', queue)
  }

  async function watch(payload: EmitPayload, next: Next): Promise<void> {
    await next()
    const { job } = payload.ctx!
    if (job.queue === SCHEDULE_QUEUE) return recordMissed(payload)
    const end = await storedEnd(kernel, payload)
    if (end?.type === 'step.failed') await recordFailure(payload, end)
  }

  async function recordFailure({ ctx }: EmitPayload, end: EventDraft): Promise<void> {
    const { job, worker } = ctx!
    const { queue, id, options } = job
    const facts = { queue, job: id, error: errorOf(end) }
    if (failed && watchesFailed(queue)) {
      await record('worker-failed', { key: worker.id, count: 1, facts: { worker: worker.id, ...facts } })
    }
    const { deadLetter } = options
    if (letters && deadLetter !== undefined && watchesLetters(queue)) {
      await record('dead-letters', { key: deadLetter, count: 1, facts: { deadLetter, ...facts } })
    }
  }

  async function recordMissed({ ctx, events }: EmitPayload): Promise<void> {
    const { name: schedule, due, start } = ctx!.job.data as TickData
    // Skips manual starts.
    if (start !== undefined) return
    const end = events.at(-1)!
    const facts = { schedule, due, ...(end.type === 'step.failed' && { error: errorOf(end) }) }
    await record('schedule-missed', { key: schedule, count: 1, since: due, facts })
  }

  if (failed || letters || missed) kernel.hook('emit', watch, { when: isWatched })
}

function errorOf({ data }: EventDraft): string {
  const { name, message } = (data as { error: SerializedError }).error
  return cutText(redactText(`${name}: ${message}`), MAX_MESSAGE)
}
