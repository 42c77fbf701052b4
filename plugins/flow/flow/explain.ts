import { QueueError, type RunInfo } from '../../../kernel/index.ts'
import type { FlowEngine } from './engine.ts'
import type { FlowGraph } from './graph.ts'
import type { FlowRun } from './run.ts'

/** What a run waits for. */
export interface RunExplanation {
  runId: string
  status: RunInfo['status']
  /** What is going on besides: it is still being copied, or winds up after a failure. */
  phase: 'copying' | 'running' | 'failing' | 'compensating' | 'ended'
  /** The jobs that have not ended. */
  jobs: OpenJob[]
  /** The joins that have begun and not run. */
  joins: OpenJoin[]
  /** The fan-outs that steps wait for. */
  gathers: OpenGather[]
  /** The same in sentences. */
  sentences: string[]
}

export interface OpenJob {
  id: string
  step: string
  /** `due`: caused and not on record, `queued`: not started yet, `started`: it runs, or has gone back to its queue. */
  status: 'due' | 'queued' | 'started'
  /** Where `kernel.explain({ queue, id })` tells more. Absent when no worker of this process is that step. */
  queue?: string
}

export interface OpenJoin {
  step: string
  arrived: string[]
  missing: string[]
  /** How many of them it waits for. */
  needs: number
}

export interface OpenGather {
  /** The steps that gather it. */
  steps: string[]
  /** What was fanned out, and by which job. */
  event: string
  jobId: string
  /** How many jobs in it have not ended. */
  open: number
  /** Whether more may come. */
  closed: boolean
}

/** @throws QueueError `RUN_NOT_FOUND` */
export async function explainRun(engine: FlowEngine, graph: FlowGraph, runId: string): Promise<RunExplanation> {
  const run = await engine.current(runId)
  if (run.flow !== graph.name) {
    const hint = 'It may not have begun, or have expired.'
    throw new QueueError('RUN_NOT_FOUND', `Flow "${graph.name}" has no run "${runId}". ${hint}`)
  }
  const told = {
    runId,
    status: run.outcome ?? ('running' as const),
    phase: phaseOf(run),
    jobs: openJobs(run, graph),
    joins: openJoins(run, graph),
    gathers: openGathers(run, graph),
  }
  return { ...told, sentences: sentencesOf(told) }
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
    failing: ['A step has failed, and the run winds up.'],
    compensating: ['A step has failed, and what was completed is being undone.'],
  }
  return [
    ...phases[phase],
    ...jobs.map(({ id, step, status: how, queue }) => {
      if (queue === undefined)
        return `Step "${step}" is needed (job ${id}), and no worker of this process is that step.`
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
