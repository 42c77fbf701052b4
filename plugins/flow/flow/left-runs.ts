import { hash } from 'node:crypto'
import type { EmitPayload, EventDraft, PluginKernel } from '../../../kernel/index.ts'
import { carryAfterwards } from './carry-job.ts'
import type { FlowEngine } from './engine.ts'
import type { ChildData } from './run.ts'

/** A run that a job has started and waits for. */
interface LeftRun {
  runId: string
  flow: string
}

/** Jobs that end in one of them have nobody who would take the result of what they wait for. */
const LEAVING: ReadonlySet<string | undefined> = new Set(['step.failed', 'step.cancelled'])

/** A job that ends without completing takes the runs that it has started and waits for with it, in a flow or not. */
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

  async function take(stream: string, ends: readonly EventDraft[]): Promise<void> {
    for (const { runId, flow } of await runsOf(stream, ends)) {
      await engine.cancel(runId, 'the job that waits for it has ended', { flow, startedBy: stream })
    }
  }

  kernel.hook('emit', whenLeft, { when: ({ events }) => LEAVING.has(events.at(-1)?.type) })

  async function whenLeft(payload: EmitPayload, next: () => unknown): Promise<void> {
    const { stream, events, ctx } = payload
    const ends = events.filter(({ type }) => LEAVING.has(type))
    const known = await runsOf(stream, ends)
    if (known.length > 0) {
      const left = ends.flatMap(({ key }) => (key === undefined ? [] : [key]))
      await carryAfterwards(kernel, `left.${stream}.${hash('sha1', left.join(), 'base64url')}`, { runId: stream, left })
    }
    await next()
    // An attempt starts nothing more at its end; a job that is cancelled from outside may have in the meantime.
    if (!payload.result?.ok || (ctx && known.length === 0)) return
    const stored = payload.result.events.filter(({ type }) => LEAVING.has(type))
    // The end is stored: what goes wrong from here on is for the job.
    await take(stream, stored).catch((error: unknown) => {
      kernel.reporter.warn(`Runs that a job of run ${stream} had waited for are cancelled later.`, error)
    })
  }

  return {
    /** @param keys of the ends of jobs */
    async takeLeft(stream: string, keys: readonly string[]): Promise<void> {
      const ends = await Promise.all(keys.map((key) => kernel.port('events').byKey(stream, key)))
      await take(stream, ends.filter((end) => end !== undefined && LEAVING.has(end.type)) as EventDraft[])
    },
  }
}
