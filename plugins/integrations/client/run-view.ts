import type { SerializedError, StoredEvent } from '../../../kernel/index.ts'
import { foldState } from '../../context/lib/fold-state.ts'
import type { EphemeralMessage, RunEnd } from './frames.ts'

/** A job of a run. It is a step of a flow, or the only job of the run. */
export interface StepView {
  /** The id of the job. */
  id: string
  name: string
  /** The status. A `waiting` job has run and will run again, after a failure, a wait or a deferral. */
  status: 'queued' | 'running' | 'waiting' | RunEnd
  attempt: number
  progress?: Progress
  /** Milliseconds since the epoch. */
  startedAt?: number
  endedAt?: number
  result?: unknown
  error?: SerializedError
  /** Why the job was cancelled. */
  reason?: string
}

export interface Progress {
  /** The progress from 0 to 1. */
  value: number
  message?: string
  step: string
}

export interface LogView {
  seq: number
  /** Milliseconds since the epoch. */
  ts: number
  level: 'debug' | 'info' | 'warn' | 'error'
  message: string
  meta?: Record<string, unknown>
  step?: string
}

/** A message that a handler sent to clients. */
export interface ClientMessageView {
  type: string
  data: unknown
  step: string
  jobId: string
  /** The `seq` of a stored message. */
  seq?: number
}

type Facts = Partial<{
  result: unknown
  error: SerializedError
  reason: string
  step: string
  type: string
  data: unknown
}>

/** How many steps are searched for an ended step. */
const MAX_SEARCHED = 100

/** Derives the view of a run from its events. Lists keep the newest `limit` entries. */
export function createRunView(limit: number) {
  const steps = new Map<string, StepView>()
  const progressByJob = new Map<string, Progress>()
  const events = createNewest<StoredEvent>(limit)
  const logs = createNewest<LogView>(limit)
  const messages = createNewest<ClientMessageView>(limit)
  const state: Record<string, unknown> = Object.create(null) as Record<string, unknown>
  // Only changed parts are copied, so that values that depend on the other parts stay valid.
  let shownSteps: readonly StepView[] | undefined
  let shownState: Record<string, unknown> | undefined
  let status: 'running' | RunEnd | undefined
  let progress: Progress | undefined
  let result: unknown
  let error: SerializedError | undefined

  function change(id: string, name: string, changes: Partial<StepView>): void {
    const before = steps.get(id) ?? { id, name, status: 'queued', attempt: 1, progress: progressByJob.get(id) }
    const now = { ...before, ...changes }
    steps.set(id, now)
    if (now.endedAt !== undefined) progressByJob.delete(id)
    if (steps.size > limit) forgetEnded()
    shownSteps = undefined
  }

  /** Makes room for a newer step. Steps that have not ended stay. */
  function forgetEnded(): void {
    let looked = 0
    for (const [id, { endedAt }] of steps) {
      if (endedAt !== undefined) return void steps.delete(id)
      if (++looked >= MAX_SEARCHED) return
    }
  }

  function end(outcome: RunEnd, facts: Facts): void {
    status = outcome
    result = facts.result
    error = facts.error
  }

  function foldStep(event: StoredEvent, facts: Facts): void {
    const { stepId, step = '', type, ts, attempt = 1, flow } = event
    if (stepId === undefined) return
    const was = steps.get(stepId)
    switch (type) {
      case 'step.queued':
        return change(stepId, step, {})
      case 'step.started': {
        // A run that is retried manually continues.
        const none = { endedAt: undefined, result: undefined, error: undefined, reason: undefined }
        const again = was && was.status !== 'queued' && { progress: undefined }
        change(stepId, step, { ...none, ...again, status: 'running', attempt, startedAt: was?.startedAt ?? ts })
        if (flow === undefined) [status, result, error] = ['running', undefined, undefined]
        return undefined
      }
      case 'step.retry':
        return change(stepId, step, { status: 'waiting', error: facts.error })
      case 'step.deferred':
        return change(stepId, step, { status: 'waiting' })
      case 'step.completed':
      case 'step.failed':
      case 'step.cancelled': {
        const outcome = type.slice('step.'.length) as RunEnd
        change(stepId, step, { status: outcome, endedAt: ts, ...pick(facts, ['result', 'error', 'reason']) })
        // The run of a single job ends with its job.
        if (flow === undefined) end(outcome, facts)
        return undefined
      }
    }
  }

  function foldRun({ type, stepId }: StoredEvent, facts: Facts): void {
    if (type === 'flow.started' && stepId !== undefined) change(stepId, facts.step ?? '', {})
    else if (type === 'flow.completed') end('completed', facts)
    else if (type === 'flow.failed') end('failed', facts)
    else if (type === 'flow.cancelled') end('cancelled', facts)
  }

  return {
    event(event: StoredEvent): ClientMessageView | undefined {
      const { type, seq, ts, step = '', stepId = '' } = event
      events.push(event)
      status ??= 'running'
      const facts = (event.data ?? {}) as Facts
      if (type.startsWith('step.')) foldStep(event, facts)
      else if (type.startsWith('flow.')) foldRun(event, facts)
      else if (type.startsWith('state.')) {
        foldState({ events: [event], state })
        shownState = undefined
      } else if (type === 'runner.log') logs.push({ ...(event.data as Omit<LogView, 'seq' | 'ts'>), seq, ts, step })
      else if (type === 'client.message') {
        const message = { type: facts.type!, data: facts.data, step, jobId: stepId, seq }
        messages.push(message)
        return message
      }
      return undefined
    },
    message({ type, data }: EphemeralMessage): ClientMessageView | undefined {
      if (type === 'progress') {
        const { jobId, ...news } = data as Progress & { jobId: string }
        progress = news
        // In a replay, the event of the step may arrive later.
        progressByJob.set(jobId, news)
        if (progressByJob.size > limit) progressByJob.delete(progressByJob.keys().next().value!)
        if (steps.has(jobId)) change(jobId, news.step, { progress })
      }
      if (type !== 'client') return undefined
      const message = data as ClientMessageView
      messages.push(message)
      return message
    },
    /** Sets how the run ended, as the server reports it. */
    end: (outcome: RunEnd) => void (status = outcome),
    /** Returns the current view, in objects that do not change later. */
    get now() {
      return {
        status,
        progress,
        result,
        error,
        steps: (shownSteps ??= [...steps.values()]),
        events: events.now,
        logs: logs.now,
        messages: messages.now,
        state: (shownState ??= { ...state }),
      }
    },
  }
}
export type RunView = ReturnType<typeof createRunView>

/** A list that keeps its newest entries. */
function createNewest<T>(limit: number) {
  const list: T[] = []
  let shown: readonly T[] | undefined
  return {
    push(item: T): void {
      list.push(item)
      // Removes many entries at once, because shifting at each event is slow.
      if (list.length > 2 * limit) list.splice(0, list.length - limit)
      shown = undefined
    },
    get now(): readonly T[] {
      return (shown ??= list.slice(-limit))
    },
  }
}

function pick<T extends object, K extends keyof T>(from: T, names: readonly K[]): Partial<Pick<T, K>> {
  const found: Partial<Pick<T, K>> = {}
  for (const name of names) if (from[name] !== undefined) found[name] = from[name]
  return found
}
