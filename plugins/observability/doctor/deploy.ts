import {
  isQueueError,
  redactText,
  toError,
  type Diagnosis,
  type JobRecord,
  type Kernel,
} from '../../../kernel/index.ts'
import { checkLimit, checkOptions } from '../../lib/check-options.ts'
import type { RunInfo, WorkerDefinition } from '../../../kernel/index.ts'
import { placesOf } from '../../flow/lib/flow-places.ts'
import { parse } from '../../lib/parse.ts'
import { isDeadLetter } from '../lib/queue-counts.ts'
import { createFindings, type Findings } from './findings.ts'

/** How much `checkDeploy` reads, newest first. */
export interface DeployCheckOptions {
  /** The maximum number of jobs that wait, are delayed or run. Default 100,000. */
  jobs?: number
  /** The maximum number of open runs. Default 10,000. */
  runs?: number
}

/** Members of kernels that an application may omit. */
type Optional = Partial<Pick<Kernel, 'flow' | 'state' | 'findJobs'>>

const PAGE = 500

/** Finds open runs, waits and jobs of a store that the workers of this process cannot carry on. Changes nothing. */
export async function checkDeploy(kernel: Kernel, options: DeployCheckOptions = {}): Promise<Diagnosis[]> {
  const checked = checkOptions('checkDeploy()', options, { jobs: checkLimit, runs: checkLimit })
  const { jobs: maxJobs = 100_000, runs: maxRuns = 10_000 } = checked
  const findings = createFindings()
  const jobs = await checkJobs(kernel, findings, maxJobs)
  const runs = await checkRuns(kernel, findings, maxRuns)
  const found = findings.list()
  if (found.some(({ level }) => level === 'problem')) return found
  const message = `These workers can carry on ${jobs} open jobs and ${runs} open runs.`
  return [...found, { check: 'deploy', level: 'ok', message }]
}

/** Jobs that wait for a time or an event are delayed, so this includes open waits. */
async function checkJobs(kernel: Kernel, findings: Findings, max: number): Promise<number> {
  const { findJobs }: Optional = kernel
  if (!findJobs || !kernel.port('queue').capabilities.search) {
    findings.limited('jobs', 'The jobs were not checked, because this store cannot search.')
    return 0
  }
  let checked = 0
  let after: string | undefined
  do {
    const page = await findJobs({ states: ['waiting', 'delayed', 'active'], limit: PAGE, after })
    for (const job of page.jobs) await checkJob(kernel, findings, job)
    checked += page.jobs.length
    after = page.next
  } while (after !== undefined && checked < max)
  if (after !== undefined) findings.limited('jobs', `Only the newest ${checked} jobs were checked.`)
  return checked
}

async function checkJob({ registry }: Kernel, findings: Findings, job: JobRecord): Promise<void> {
  const { queue, name, id, data, flow } = job
  const worker = registry.find(queue, name, id)
  if (!worker) {
    if (isDeadLetter(job)) return
    const hint = 'Keep the worker until its jobs have ended, or remove the jobs.'
    findings.add({ check: 'jobs.worker', what: `No worker here runs "${name}" of queue "${queue}".`, hint }, 'Jobs', id)
    return
  }
  // The log has data that a flow keeps there, and it is checked when the job runs.
  if (!worker.worker.input || flow?.dataInLog) return
  const problem = await refusalOf(() => parse(worker.worker.input!, data, 'data'))
  if (problem === undefined) return
  const hint = 'Accept the stored form as well until these jobs have ended, for example with a union.'
  const what = `The input schema of worker "${worker.id}" refuses stored data (${problem}).`
  findings.add({ check: 'jobs.input', what, hint }, 'Jobs', id)
}

async function checkRuns(kernel: Kernel, findings: Findings, max: number): Promise<number> {
  let checked = 0
  let last: RunInfo | undefined
  do {
    const page = await kernel
      .port('events')
      .runs.list({ status: 'running', hideInternal: true, limit: PAGE, ...(last && { after: last }) })
    for (const run of page) await checkRun(kernel, findings, run)
    checked += page.length
    last = page.length === PAGE ? page.at(-1) : undefined
  } while (last && checked < max)
  if (last) findings.limited('runs', `Only the newest ${checked} open runs were checked.`)
  return checked
}

async function checkRun(kernel: Kernel, findings: Findings, run: RunInfo): Promise<void> {
  const { flow }: Optional = kernel
  if (run.flow !== undefined && flow) {
    try {
      const { jobs } = await flow(run.flow).explain(run.runId)
      for (const { step, queue } of jobs) {
        if (queue !== undefined) continue
        const hint = 'Keep the step until its runs have ended, or cancel the runs.'
        findings.add(
          { check: 'flows.steps', what: `Flow "${run.flow}" has no step "${step}" here, which open runs need.`, hint },
          'Runs',
          run.runId,
        )
      }
    } catch (error) {
      if (isQueueError(error, 'RUN_NOT_FOUND')) return
      const hint = 'Keep the flow until its runs have ended, or cancel the runs.'
      const why = redactText(toError(error).message)
      findings.add(
        { check: 'flows.graph', what: `Flow "${run.flow}" has open runs and cannot be used: ${why}`, hint },
        'Runs',
        run.runId,
      )
      return
    }
  }
  await checkState(kernel, findings, run)
}

/** Checks the state of a run with the schemas of the workers that may read it. */
async function checkState(kernel: Kernel, findings: Findings, run: RunInfo): Promise<void> {
  const { state }: Optional = kernel
  const workers = workersOf(kernel, run).filter(({ worker }) => worker.state !== undefined)
  if (workers.length === 0 || !state) return
  const values = await state(run.runId)
  for (const { id, worker } of workers) {
    for (const [key, schema] of Object.entries(worker.state!.shape)) {
      if (!Object.hasOwn(values, key)) continue
      const problem = await refusalOf(() => parse(schema, values[key], 'state'))
      if (problem === undefined) continue
      const hint = 'Convert the stored form with `upcast`, or accept it as well until these runs have ended.'
      const what = `The state schema of worker "${id}" refuses the stored state "${key}" (${problem}).`
      findings.add({ check: 'runs.state', what, hint }, 'Runs', run.runId)
    }
  }
}

function workersOf({ registry }: Kernel, { flow, queue, name }: RunInfo): readonly WorkerDefinition[] {
  if (flow !== undefined) {
    return registry.workers.filter((worker) => placesOf(worker).some((place) => place.name === flow))
  }
  const worker = queue === undefined ? undefined : registry.find(queue, name)
  return worker ? [worker] : []
}

/** Returns the first reason of a schema, without the value. */
async function refusalOf(call: () => unknown): Promise<string | undefined> {
  try {
    await call()
    return undefined
  } catch (error) {
    const { issues } = (isQueueError(error) ? (error.details ?? {}) : {}) as {
      issues?: { path: string; message: string }[]
    }
    const [first] = issues ?? []
    if (!first) return redactText(toError(error).message)
    return first.path === '' ? first.message : `${first.path}: ${first.message}`
  }
}
