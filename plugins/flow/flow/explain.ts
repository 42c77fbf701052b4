import { QueueError, type RunInfo } from '../../../kernel/index.ts'
import type { FlowEngine } from './engine.ts'
import type { FlowGraph } from './graph.ts'
import type { FlowRun } from './run.ts'

/** Explains what a run waits for. */
export interface RunExplanation {
  runId: string
  status: RunInfo['status']
  /** `copying`: the fork is not complete. `failing`: a step has failed and the run is about to end. */
  phase: 'copying' | 'running' | 'failing' | 'compensating' | 'ended'
  /** The jobs that have not ended. */
  jobs: OpenJob[]
  /** The joins that have received an event and have not run. */
  joins: OpenJoin[]
  /** The fan-outs that steps wait for. */
  gathers: OpenGather[]
  /** The same facts as sentences. */
  sentences: string[]
}

export interface OpenJob {
  id: string
  step: string
  /** `due`: not recorded yet, `queued`: recorded and not started, `started`: running, or back in its queue. */
  status: 'due' | 'queued' | 'started'
  /** The queue for `kernel.explain({ queue, id })`. Absent when no worker of this process runs the step. */
  queue?: string
}

export interface OpenJoin {
  step: string
  arrived: string[]
  missing: string[]
  /** The number of events that it needs. */
  needs: number
}

export interface OpenGather {
  /** The steps that gather the group. */
  steps: string[]
  /** The event that fanned out, and the job that emitted it. */
  event: string
  jobId: string
  /** How many jobs of the group have not ended. */
  open: number
  /** True when no more jobs can join the group. */
  closed: boolean
}

/** @throws QueueError `RUN_NOT_FOUND` */
export async function explainRun(engine: FlowEngine, graph: FlowGraph, runId: string): Promise<RunExplanation> {
  const run = await engine.current(runId)
  if (run.flow !== graph.name) {
    const hint = 'It may not have begun, or it may have expired.'
    throw new QueueError('RUN_NOT_FOUND', `Flow "${graph.name}" has no run "${runId}". ${hint}`)
  }
  const facts = {
    runId,
    status: run.outcome ?? ('running' as const),
    phase: phaseOf(run),
    jobs: openJobs(run, graph),
    joins: openJoins(run, graph),
    gathers: openGathers(run, graph),
  }
  return { ...facts, sentences: sentencesOf(facts) }
}

function phaseOf({ outcome, copying, compensating, failure }: Readonly<FlowRun>): RunExplanation['phase'] {
  if (outcome) return 'ended'
  if (copying) return 'copying'
  return compensating ? 'compensating' : failure ? 'failing' : 'running'
}

function openJobs({ open, outcome }: Readonly<FlowRun>, { steps }: FlowGraph): OpenJob[] {
  if (outcome) return []
  return [...open].map(({ id, step, status }) => {
    const queue = steps.get(step)?.worker.queue.name
    return {
      id,
      step,
      status: status === 'open' ? 'started' : (status as 'due'),
      ...(queue !== undefined && { queue }),
    }
  })
}

function openJoins({ joins }: Readonly<FlowRun>, { steps }: FlowGraph): OpenJoin[] {
  return [...joins.values()].flatMap(({ step, arrived, fired }) => {
    const { needs = 0, subscribes = [] } = steps.get(step) ?? {}
    const missing = subscribes.filter((event) => !arrived.has(event))
    return fired ? [] : [{ step, arrived: [...arrived.keys()], missing, needs }]
  })
}

function openGathers({ instances, outcome }: Readonly<FlowRun>, { gatherers }: FlowGraph): OpenGather[] {
  if (outcome) return []
  return [...instances.values()].flatMap(({ id: jobId, groups }) =>
    [...(groups?.values() ?? [])].map(({ event, open, closed }) => {
      const steps = (gatherers.get(event) ?? []).map(({ step }) => step)
      return { steps, event, jobId, open, closed }
    }),
  )
}

function sentencesOf({ status, phase, jobs, joins, gathers }: Omit<RunExplanation, 'sentences'>): string[] {
  const list = (names: readonly string[]): string => names.map((name) => `"${name}"`).join(', ') || 'nothing'
  const phases: Record<RunExplanation['phase'], string[]> = {
    running: [],
    ended: [`The run has ended as ${status}.`],
    copying: ['It is a fork that is still being copied.'],
    failing: ['A step has failed, and the run is about to end.'],
    compensating: ['A step has failed, and the completed steps are being undone.'],
  }
  return [
    ...phases[phase],
    ...jobs.map(({ id, step, status: how, queue }) => {
      if (queue === undefined) return `Step "${step}" has to run (job ${id}), but no worker of this process runs it.`
      return `Step "${step}" is ${how} (job ${id} on queue "${queue}").`
    }),
    ...joins.map(
      ({ step, arrived, missing, needs }) =>
        `Join "${step}" has ${list(arrived)} and waits for ${needs - arrived.length} of ${list(missing)}.`,
    ),
    ...gathers.map(({ steps, event, open, closed }) => {
      const more = closed ? '' : ', and more may come'
      return `${list(steps)} waits for ${open} jobs that descend from "${event}"${more}.`
    }),
  ]
}
