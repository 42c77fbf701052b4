import type { StoredEvent } from '../../kernel/index.ts'

/** A sub-step or wait that the log of a job contains, in the order in which the job began it. */
interface RecordedStep {
  name: string
  seq: number
}

/** What the log of a run says about one of its jobs. */
export interface RecordedJob {
  id: string
  worker: string
  queue: string
  name: string
  flow: string | undefined
  step: string
  /** The last attempt. */
  attempt: number
  claim: number
  steps: readonly RecordedStep[]
  /** The events that it emitted to the flow with its end. */
  emits: readonly { event: string; seq: number }[]
  /** Its last event, if the job has ended. */
  end: StoredEvent | undefined
}

const ENDS = new Set(['step.completed', 'step.failed'])
const STEPS = new Set(['step.memo', 'step.memo.failed', 'step.awaiting', 'step.resumed'])

/** Returns the jobs of a run that a handler has worked on, except cancelled ones: nothing compares with an end from outside. */
export function recordedJobs(events: readonly StoredEvent[]): RecordedJob[] {
  const byJob = Map.groupBy(events, ({ stepId }) => stepId)
  const jobs: RecordedJob[] = []
  for (const [id, own] of byJob) {
    const started = own.findLast(({ type }) => type === 'step.started')
    if (id === undefined || !started || own.some(({ type }) => type === 'step.cancelled')) continue
    const { worker, queue, name, claim } = started.data as Pick<RecordedJob, 'worker' | 'queue' | 'name' | 'claim'>
    const end = own.findLast(({ type }) => ENDS.has(type))
    jobs.push({
      ...{ id, worker, queue, name, claim, end },
      flow: started.flow,
      step: started.step ?? name,
      attempt: started.attempt ?? 1,
      steps: stepsOf(own),
      emits: end === undefined ? [] : emitsOf(own),
    })
  }
  return jobs
}

function stepsOf(own: readonly StoredEvent[]): RecordedStep[] {
  const steps = new Map<string, RecordedStep>()
  for (const { type, seq, data } of own) {
    if (!STEPS.has(type)) continue
    const { name } = data as { name: string }
    // Names in parentheses belong to plugins, such as the waits around a handler and for runs of other flows.
    if (!name.startsWith('(') && !steps.has(name)) steps.set(name, { name, seq })
  }
  return [...steps.values()]
}

/** Events with a number that begins with `i` were stored at once. */
function emitsOf(own: readonly StoredEvent[]): { event: string; seq: number }[] {
  return own.flatMap(({ type, seq, data }) => {
    const { event, n } = (data ?? {}) as { event?: string; n?: string }
    return type === 'emit' && event !== undefined && !n?.startsWith('i') ? [{ event, seq }] : []
  })
}
