import type { JobRecord, Kernel, SerializedError, StoredEvent } from '../../../kernel/index.ts'
import { shownName, type WaitRecord } from '../../flow/lib/wait-record.ts'
import { expiryOf } from '../../jobs/lib/expiry.ts'
import { reason, type Reason } from './reasons.ts'

/** How many jobs are read to find the jobs with a key. */
const MAX_JOBS = 1000

/** The events that show why a job runs later. */
const TYPES = ['step.retry', 'step.deferred', 'step.awaiting', 'step.resumed']

interface Deferred {
  /** The limit that refused the job, as the plugin `limits` records it. */
  limit?: 'concurrencyKey' | 'rateLimit' | 'limits' | 'singleton'
  entry?: number
  key?: string
  /** The version of its flow to which the run of the job is pinned. */
  pinned?: string
}

/** Returns why a delayed job is delayed. */
export async function whyDelayed(kernel: Kernel, job: JobRecord): Promise<Reason[]> {
  const { id, runId, runAt, options, claims } = job
  const history = await kernel.port('events').read(runId, { types: TYPES })
  const events = history.filter(({ stepId }) => stepId === id)
  const last = events.findLast(({ type }) => type === 'step.retry' || type === 'step.deferred')
  if (last?.type === 'step.retry') {
    const { error } = last.data as { error: SerializedError }
    return [reason('backoff', { until: runAt, attempt: last.attempt ?? 1, attempts: options.attempts ?? 1, error })]
  }
  const { pinned, limit, entry = 0, key: limited } = (last?.data ?? {}) as Deferred
  if (pinned !== undefined) return [reason('pinned', { flow: job.flow!.name, version: pinned, looksAgainAt: runAt })]
  if (limit === 'concurrencyKey') return [await concurrencyReason(kernel, job)]
  if (limit === 'singleton') return [reason('singleton', { worker: job.name, looksAgainAt: runAt })]
  if (limit === 'limits') {
    return [reason('worker-limit', { entry, ...(limited !== undefined && { key: limited }), looksAgainAt: runAt })]
  }
  if (limit === 'rateLimit') {
    const key = options.rateLimitKey
    return [reason('rate-limit', { until: runAt, ...(key !== undefined && { key }) })]
  }
  const waits = openWaits(events)
  if (last && waits.length > 0) {
    return waits.map(({ name, mode, parts, until }) =>
      reason('awaiting', {
        name: shownName(name),
        mode,
        parts,
        ...(until !== undefined && { until }),
        looksAgainAt: runAt,
      }),
    )
  }
  if (options.debounce) return [reason('debounced', { until: runAt, key: String(options.debounce.key ?? '') })]
  return [reason(claims === 0 ? 'delayed' : 'deferred', { until: runAt })]
}

/** Returns a reason if the job has expired while it waited. Without a running worker, it stays in its queue. */
export async function whyExpired(kernel: Kernel, job: JobRecord): Promise<Reason[]> {
  const { id, runId, runAt, claims, attemptsMade, options } = job
  const { expiresIn } = options
  if (expiresIn === undefined || attemptsMade > 0) return []
  const claimed = { id, runId, claim: claims + 1, dueAt: runAt, expiresIn }
  const since = claims === 0 ? runAt + expiresIn : await expiryOf(kernel, claimed)
  return since !== undefined && kernel.clock.now() > since
    ? [reason('expired', { since: since || runAt + expiresIn, expiresIn })]
    : []
}

function openWaits(events: readonly StoredEvent[]): WaitRecord[] {
  const finished = new Set(
    events.flatMap(({ type, data }) => (type === 'step.resumed' ? [(data as { name: string }).name] : [])),
  )
  const records = events.flatMap(({ type, data }) => (type === 'step.awaiting' ? [data as WaitRecord] : []))
  return records.filter(({ name }) => !finished.has(name))
}

async function concurrencyReason(kernel: Kernel, { id, queue, name, options, runAt }: JobRecord): Promise<Reason> {
  const key = options.concurrencyKey!
  const ofKey = async (state: 'active' | 'delayed'): Promise<JobRecord[]> => {
    const jobs = await kernel.port('queue').getJobs({ queue, name, states: [state], limit: MAX_JOBS })
    return jobs.filter((job) => job.options.concurrencyKey === key)
  }
  const [running, waiting] = await Promise.all([ofKey('active'), ofKey('delayed')])
  // The job that was refused first is tried again first.
  const ahead = waiting.filter((job) => job.id !== id && job.claims > 0 && job.runAt < runAt).length
  return reason('concurrency-key', { key, running: running.map((job) => job.id), ahead, looksAgainAt: runAt })
}
