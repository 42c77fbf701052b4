import type { Job } from '../api/types.ts'
import type { TimelineJob } from '../../../../observability/lib/timeline.ts'

/** A span of the life of a job, in milliseconds since the epoch. */
export interface JobSpan {
  state: 'delayed' | 'waiting' | 'active' | 'held' | 'deferred'
  label: string
  from: number
  to: number
}

/**
 * Returns how long a job was in each state: delayed, waiting for a worker, running, and between attempts.
 *
 * @param now the end of the last span, for a job that has not ended
 */
export function jobSpans(job: Job, timeline: TimelineJob | undefined, now: number): JobSpan[] {
  const end = job.finishedAt ?? now
  const first = timeline?.attempts[0]?.startedAt ?? job.startedAt ?? end
  const due = job.state === 'delayed' && job.attemptsMade === 0 ? end : Math.min(delayedUntil(job), first)
  const spans: JobSpan[] = [
    { state: 'delayed', label: 'Delayed', from: job.createdAt, to: due },
    { state: 'waiting', label: 'Waited for a worker', from: due, to: first },
  ]
  const attempts =
    timeline?.attempts ??
    (job.startedAt === undefined
      ? []
      : [{ attempt: 1, startedAt: job.startedAt, endedAt: job.finishedAt, outcome: 'running' }])
  for (const [index, { startedAt, endedAt, outcome }] of attempts.entries()) {
    const next = attempts[index + 1]?.startedAt ?? end
    const over = endedAt ?? (outcome === 'lost' ? startedAt : next)
    spans.push({ state: 'active', label: 'Ran', from: startedAt, to: over })
    if (outcome !== 'running') {
      const failed = outcome === 'failed'
      spans.push({
        state: failed ? 'held' : 'deferred',
        label: failed ? 'Between attempts' : 'Waited',
        from: over,
        to: next,
      })
    }
  }
  return spans.filter(({ from, to }) => to > from)
}

/** The moment before which the first attempt could not begin. */
function delayedUntil({ createdAt, runAt, attemptsMade, options }: Job): number {
  const { delay } = options ?? {}
  if (typeof delay === 'number') return createdAt + delay
  return attemptsMade === 0 ? runAt : createdAt
}

/** Returns the total of each state, in the order in which they first occur. */
export function totalsOf(spans: readonly JobSpan[]): { state: JobSpan['state']; label: string; ms: number }[] {
  const totals = new Map<string, { state: JobSpan['state']; label: string; ms: number }>()
  for (const { state, label, from, to } of spans) {
    const total = totals.get(label) ?? { state, label, ms: 0 }
    total.ms += to - from
    totals.set(label, total)
  }
  return [...totals.values()]
}
