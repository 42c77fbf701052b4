import type { RunInfo, SerializedError, StoredEvent } from '../../../kernel/index.ts'
import { shownName, type WaitRecord, type WaitResult } from '../../flow/lib/wait-record.ts'
import type { Timeline, TimelineAttempt, TimelineJob } from './timeline.ts'

/** The data of events that a timeline shows. */
type Facts = Partial<{
  queue: string
  runAt: number
  result: unknown
  error: SerializedError
  reason: string
  name: string
  event: string
  level: string
  runId: string
  flow: string
  wait: boolean
}>

/** Builds the timeline of a run from its events. */
export function foldTimeline(run: RunInfo, events: readonly StoredEvent[]): Timeline {
  const jobs = new Map<string, TimelineJob>()
  const timeline: Timeline = { run, duration: (run.endedAt ?? run.updatedAt) - run.startedAt, jobs: [] }

  function jobOf({ stepId, step = '' }: StoredEvent): TimelineJob | undefined {
    if (stepId === undefined) return undefined
    const known = jobs.get(stepId)
    if (known) return known
    const entriesByKind = { attempts: [], waits: [], subSteps: [], emits: [], children: [] }
    const job: TimelineJob = { jobId: stepId, step, status: 'queued', ...entriesByKind, logs: {} }
    jobs.set(stepId, job)
    timeline.jobs.push(job)
    return job
  }

  for (const event of events) {
    if (event.type === 'flow.started') begin(timeline, event, jobOf({ ...event, step: entryOf(event) })!)
    else if (event.type === 'flow.forked') {
      for (const job of timeline.jobs) if (job.endedAt !== undefined) job.copied = true
    } else {
      const job = jobOf(event)
      if (job) foldJob(job, event)
    }
  }
  return timeline
}

function entryOf({ data }: StoredEvent): string {
  return (data as { step: string }).step
}

function begin(timeline: Timeline, { data, ts }: StoredEvent, entry: TimelineJob): void {
  const { input, forkedFrom } = data as Pick<Timeline, 'input' | 'forkedFrom'>
  timeline.input = input
  if (forkedFrom) timeline.forkedFrom = forkedFrom
  entry.queuedAt = ts
}

function foldJob(job: TimelineJob, event: StoredEvent): void {
  const { type, ts } = event
  const facts = (event.data ?? {}) as Facts
  switch (type) {
    case 'step.queued':
      job.queuedAt ??= ts
      break
    case 'step.started':
      start(job, event, facts)
      break
    case 'step.retry':
      pause(job, ts, { outcome: 'failed', error: facts.error, nextAt: facts.runAt })
      break
    case 'step.deferred':
      pause(job, ts, { outcome: 'deferred', nextAt: facts.runAt })
      break
    case 'step.completed':
    case 'step.failed':
    case 'step.cancelled':
      end(job, event, facts)
      break
    case 'step.awaiting': {
      const { name, mode, parts, until } = event.data as WaitRecord
      job.waits.push({ name: shownName(name), mode, parts, ...(until !== undefined && { until }), startedAt: ts })
      break
    }
    case 'step.resumed': {
      const { name, timedOut, payload } = event.data as WaitResult
      const wait = job.waits.find((one) => one.name === shownName(name))
      if (wait) Object.assign(wait, { endedAt: ts, duration: ts - wait.startedAt, timedOut, payload })
      break
    }
    case 'step.memo':
      job.subSteps.push({ name: facts.name!, at: ts })
      break
    case 'step.memo.failed':
      job.subSteps.push({ name: facts.name!, at: ts, error: facts.error! })
      break
    case 'emit':
      job.emits.push({ event: facts.event!, at: ts })
      break
    case 'flow.child':
      job.children.push({ runId: facts.runId!, flow: facts.flow!, waits: facts.wait === true, startedAt: ts })
      break
    case 'runner.log':
      job.logs[facts.level!] = (job.logs[facts.level!] ?? 0) + 1
  }
}

function start(job: TimelineJob, { ts, attempt = 1 }: StoredEvent, { queue }: Facts): void {
  const before = job.attempts.at(-1)
  if (before?.outcome === 'running') before.outcome = 'lost'
  job.attempts.push({ attempt, startedAt: ts, outcome: 'running' })
  job.status = 'running'
  if (queue !== undefined) job.queue = queue
  // A job that was retried manually after its end runs again.
  for (const fact of ['endedAt', 'duration', 'error', 'reason', 'result'] as const) delete job[fact]
  if (job.startedAt !== undefined) return
  job.startedAt = ts
  if (job.queuedAt !== undefined) job.queued = ts - job.queuedAt
}

function pause(job: TimelineJob, ts: number, end: Pick<TimelineAttempt, 'outcome' | 'error' | 'nextAt'>): void {
  job.status = 'waiting'
  endAttempt(job, ts, end)
}

function end(job: TimelineJob, { type, ts }: StoredEvent, { result, error, reason }: Facts): void {
  const outcome = type.slice('step.'.length) as 'completed' | 'failed' | 'cancelled'
  Object.assign(job, { status: outcome, endedAt: ts })
  if (job.startedAt !== undefined) job.duration = ts - job.startedAt
  if (outcome === 'completed') job.result = result
  if (error) job.error = error
  if (reason !== undefined) job.reason = reason
  endAttempt(job, ts, { outcome, error })
}

function endAttempt(job: TimelineJob, ts: number, { error, ...facts }: Partial<TimelineAttempt>): void {
  const attempt = job.attempts.at(-1)
  if (attempt?.outcome !== 'running') return
  Object.assign(attempt, { endedAt: ts, duration: ts - attempt.startedAt, ...facts, ...(error && { error }) })
}
