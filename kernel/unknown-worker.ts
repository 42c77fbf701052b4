import type { JobRecord, PluginKernel, Settlement, WorkerDefinition } from '../contracts/index.ts'
import { endKey } from './attempt.ts'
import { runPatch } from './conclude.ts'
import { QueueError } from './errors.ts'
import { defineWorker } from './registry.ts'

/** The delay before a job without a worker is checked again, in milliseconds. The delay grows with the time that the job has waited. */
const MIN_DELAY = 500
const MAX_DELAY = 30_000

/**
 * Returns jobs to their queue if no worker of this process handles them, for example while an older and a newer version run side by side.
 * Another process may then claim them. A plain job fails after `workerWait`. A step of a flow waits until its worker is registered again.
 */
export function createUnknownWorkers(kernel: PluginKernel) {
  const reported = new Set<string>()

  /** Returns `undefined` if the job has waited for `workerWait`. */
  async function postpone(record: JobRecord): Promise<Settlement | undefined> {
    const end = await kernel.port('events').byKey(record.runId, endKey(record))
    if (end) return undefined
    const waited = record.flow ? await waitedInFlow(record) : await waitedAlone(record)
    if (waited === undefined || (!record.flow && waited >= kernel.config.workerWait)) return undefined
    report(record)
    const look = Math.min(MAX_DELAY, Math.max(MIN_DELAY, waited / 4))
    const left = record.flow ? look : kernel.config.workerWait - waited
    return { type: 'defer', runAt: kernel.clock.now() + Math.ceil(Math.min(look, left)) }
  }

  async function waitedInFlow({ runId, createdAt }: JobRecord): Promise<number | undefined> {
    const run = await kernel.port('events').runs.get(runId)
    if (run && run.status !== 'running') return undefined
    return Math.max(0, kernel.clock.now() - createdAt)
  }

  /**
   * Returns how long the job has waited without a worker. Records when the wait began, because the job may have been in the queue for a
   * long time before.
   */
  async function waitedAlone(record: JobRecord): Promise<number | undefined> {
    const { id, runId, name, round, attemptsMade } = record
    const key = `unknown:${id}#${round}`
    const data = { runAt: kernel.clock.now(), reason: 'WORKER_UNKNOWN' }
    const event = { type: 'step.deferred', key, data, step: name, stepId: id, attempt: attemptsMade + 1 }
    const run = runPatch(record, 'running')
    const reopen = round > 0 && attemptsMade === 0
    const result = await kernel.emit(runId, [event], { unless: endKey(record), reopen, run })
    if (!result.ok) return undefined
    if (result.events.length > 0) return 0
    const first = await kernel.port('events').byKey(runId, key)
    return first && Math.max(0, kernel.clock.now() - first.ts)
  }

  function report({ queue, name, flow }: JobRecord): void {
    const where = `"${name}" on queue "${queue}"`
    if (reported.has(where)) return
    reported.add(where)
    const wait = flow ? 'until a worker is registered' : `up to ${kernel.config.workerWait} ms for a worker`
    kernel.reporter.warn(`No worker here handles ${where}. Its jobs return to the queue and wait ${wait}.`)
  }
  return postpone
}

/** Returns a worker that fails the job with a message, through the log like any failure. */
export function unknownWorker({ queue, name }: JobRecord): WorkerDefinition {
  const message = `No worker handles "${name}" on queue "${queue}". Register one, or remove the job.`
  const handler = (): Promise<never> => Promise.reject(new QueueError('WORKER_UNKNOWN', message, { retryable: false }))
  return { ...defineWorker({ id: name || queue, config: { queue } }), handler }
}
