import { hash } from 'node:crypto'
import type { EmitPayload, EventDraft, PluginKernel } from '../../../kernel/index.ts'
import { repeatLater } from './advance-job.ts'
import type { FlowEngine } from './engine.ts'
import type { ChildData } from './run.ts'

/** A run that a job has started and waits for. */
interface LeftRun {
  runId: string
  flow: string
}

/** Ends after which no handler uses the results of the runs that the job waits for. */
const ABANDONING_ENDS: ReadonlySet<string | undefined> = new Set(['step.failed', 'step.cancelled'])

/** Cancels the runs that a job has started and waits for if the job ends without completing. The job does not have to be part of a flow. */
export function watchLeftRuns(kernel: PluginKernel, engine: FlowEngine) {
  async function runsOf(stream: string, ends: readonly EventDraft[]): Promise<LeftRun[]> {
    const jobs = new Set(ends.map(({ stepId }) => stepId))
    if (ends[0]?.flow !== undefined) {
      const { children } = await engine.current(stream)
      return [...children].flatMap(([runId, { flow, jobId }]) => (jobs.has(jobId) ? [{ runId, flow }] : []))
    }
    const started = await kernel.port('events').read(stream, { types: ['flow.child'] })
    return started.flatMap(({ stepId, data }) => {
      const { runId, flow, wait } = data as ChildData
      return wait && jobs.has(stepId) ? [{ runId, flow }] : []
    })
  }

  async function cancelLeft(stream: string, ends: readonly EventDraft[]): Promise<void> {
    for (const { runId, flow } of await runsOf(stream, ends)) {
      await engine.cancel(runId, 'the job that waits for it has ended', { flow, startedBy: stream })
    }
  }

  kernel.hook('emit', onEnd, { when: ({ events }) => ABANDONING_ENDS.has(events.at(-1)?.type) })

  async function onEnd(payload: EmitPayload, next: () => unknown): Promise<void> {
    const { stream, events, ctx } = payload
    const ends = events.filter(({ type }) => ABANDONING_ENDS.has(type))
    const known = await runsOf(stream, ends)
    if (known.length > 0) {
      const left = ends.flatMap(({ key }) => (key === undefined ? [] : [key]))
      await repeatLater(kernel, `left.${stream}.${hash('sha1', left.join(), 'base64url')}`, { runId: stream, left })
    }
    await next()
    // An attempt does not start runs at its end. A job that is cancelled by another caller may have started a run in the meantime.
    if (!payload.result?.ok || (ctx && known.length === 0)) return
    const stored = payload.result.events.filter(({ type }) => ABANDONING_ENDS.has(type))
    // The end is stored. If a later operation fails, the job that was enqueued above retries it.
    await cancelLeft(stream, stored).catch((error: unknown) => {
      kernel.reporter.warn(
        `A job of run ${stream} ended, and the runs it waited for could not be cancelled. A job retries it.`,
        error,
      )
    })
  }

  return {
    /** @param keys event keys of ended jobs */
    async takeLeft(stream: string, keys: readonly string[]): Promise<void> {
      const ends = await Promise.all(keys.map((key) => kernel.port('events').byKey(stream, key)))
      await cancelLeft(stream, ends.filter((end) => end !== undefined && ABANDONING_ENDS.has(end.type)) as EventDraft[])
    },
  }
}
