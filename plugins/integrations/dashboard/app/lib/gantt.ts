import type { Timeline, TimelineJob } from '../../../../observability/lib/timeline.ts'

/** A bar in a row, in milliseconds since the epoch. */
export interface GanttBar {
  state: string
  /** Whether nothing ran in this time. */
  idle: boolean
  from: number
  to: number
}

export interface GanttRow {
  id: string
  depth: number
  label: string
  hint: string
  status: string
  bars: readonly GanttBar[]
  /** Moments that have no length, such as sub-steps. */
  marks: readonly { at: number; failed: boolean; label: string }[]
  /** Absent for a group of jobs. */
  jobId?: string
  /** Set for rows that can be folded. */
  open?: boolean
}

const ORDER = ['failed', 'running', 'waiting', 'queued', 'cancelled', 'completed']

/** Returns the state of a group: the state of its jobs that needs attention most. */
function stateOf(jobs: readonly TimelineJob[]): string {
  return ORDER.find((status) => jobs.some((job) => job.status === status)) ?? 'queued'
}

/** Returns the bars of a job: its time in the queue, its attempts, and the time between them. */
export function barsOf(job: TimelineJob, now: number): GanttBar[] {
  const end = job.endedAt ?? now
  const first = job.attempts[0]?.startedAt ?? end
  const bars: GanttBar[] =
    job.queuedAt === undefined ? [] : [{ state: 'waiting', idle: true, from: job.queuedAt, to: first }]
  for (const [index, { startedAt, endedAt, outcome }] of job.attempts.entries()) {
    const next = job.attempts[index + 1]?.startedAt ?? end
    const over = endedAt ?? (outcome === 'lost' ? next : end)
    bars.push({ state: outcome, idle: outcome === 'deferred' || outcome === 'lost', from: startedAt, to: over })
    if (next > over) bars.push({ state: 'held', idle: true, from: over, to: next })
  }
  return bars.filter(({ from, to }) => to >= from)
}

function rowOf(job: TimelineJob, depth: number, label: string, now: number): GanttRow {
  const failures = job.attempts.filter(({ outcome }) => outcome === 'failed').length
  return {
    id: job.jobId,
    jobId: job.jobId,
    depth,
    label,
    hint: failures > 0 && job.status !== 'failed' ? `${failures + 1} attempts` : '',
    status: job.status,
    bars: barsOf(job, now),
    marks: job.subSteps.map(({ name, at, error }) => ({ at, label: name, failed: error !== undefined })),
  }
}

/**
 * Returns the rows of a timeline: one for each step, and for a step with several jobs a group that can be opened.
 *
 * @param open the groups that are open
 * @param now the end of bars that are still running
 */
export function ganttRows(jobs: Timeline['jobs'], open: ReadonlySet<string>, now: number): GanttRow[] {
  const steps = Map.groupBy(jobs, ({ step }) => step)
  return [...steps].flatMap(([step, own]): GanttRow[] => {
    if (own.length === 1) return [rowOf(own[0]!, 0, step, now)]
    const ended = own.filter(({ endedAt }) => endedAt !== undefined).length
    const group: GanttRow = {
      id: `step ${step}`,
      depth: 0,
      label: step,
      hint: `${ended} of ${own.length}`,
      status: stateOf(own),
      bars: spanOf(own, now),
      marks: [],
      open: open.has(step),
    }
    return open.has(step) ? [group, ...own.map((job, index) => rowOf(job, 1, `#${index + 1}`, now))] : [group]
  })
}

/** One bar from the first start of a group to its last end. */
function spanOf(jobs: readonly TimelineJob[], now: number): GanttBar[] {
  const starts = jobs.flatMap(({ queuedAt, startedAt }) => startedAt ?? queuedAt ?? [])
  if (starts.length === 0) return []
  const from = starts.reduce((least, ts) => Math.min(least, ts))
  const to = jobs.reduce((most, { endedAt }) => Math.max(most, endedAt ?? now), from)
  return [{ state: stateOf(jobs), idle: false, from, to }]
}

/** Returns about five round moments of an axis, as milliseconds after its start. */
export function ticksOf(duration: number): number[] {
  const steps = [
    1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000, 600_000,
    1_800_000, 3_600_000, 7_200_000, 21_600_000, 43_200_000, 86_400_000,
  ]
  const step = steps.find((one) => duration / one <= 6) ?? Math.ceil(duration / 6 / 86_400_000) * 86_400_000
  return Array.from({ length: Math.floor(duration / step) + 1 }, (_none, index) => index * step)
}
