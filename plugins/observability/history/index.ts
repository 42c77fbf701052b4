import { mkdir, rename, writeFile } from 'node:fs/promises'
import { dirname } from 'pathe'
import { definePlugin, QueueError, type Kernel, type RunInfo } from '../../../kernel/index.ts'
import { formatHistory, type RunHistory } from '../lib/history.ts'
import { PRIVATE_FILE } from '../../lib/private-folder.ts'
import { foldTimeline } from './fold.ts'
import type { Timeline } from './timeline.ts'

export type { RunHistory } from '../lib/history.ts'
export type { Timeline, TimelineAttempt, TimelineChild, TimelineJob, TimelineWait } from './timeline.ts'

declare module 'nuxt-queue/kernel' {
  interface Kernel {
    /**
     * Writes the history of a run to a file, which `nuxt-queue show`, `state` and `runs` open like a
     * run. Answers what it wrote.
     *
     * @throws QueueError `RUN_NOT_FOUND`, `EVENTS_TRIMMED`
     * @example
     * await kernel.exportRun(runId, `${runId}.jsonl`)
     */
    exportRun(runId: string, file: string): Promise<RunHistory>
    /**
     * What happened in a run, job by job: when each was queued, how its attempts went, what it waited for, and
     * how long all that took. For dashboards and people; reads each stream once.
     *
     * @param options.depth how many levels of runs that its jobs have started come along. Default 1
     * @throws QueueError `RUN_NOT_FOUND`, `EVENTS_TRIMMED`
     */
    timeline(runId: string, options?: { depth?: number }): Promise<Timeline>
  }
}

/** Tells what happened in a run, and takes its history out of the store and into a file that outlives it. */
export default definePlugin({
  name: 'history',
  requires: ['events'],
  setup(kernel) {
    const find = async (runId: string): Promise<RunInfo | undefined> => kernel.port('events').runs.get(runId)

    async function read(run: RunInfo | undefined, runId: string): Promise<RunHistory> {
      if (!run) {
        const hint = 'It may not have begun, or have expired.'
        throw new QueueError('RUN_NOT_FOUND', `There is no run "${runId}". ${hint}`)
      }
      const events = await kernel.port('events').read(runId)
      // A run that goes on has grown since it was looked up.
      return { run: { ...run, head: events.at(-1)?.seq ?? 0 }, events }
    }

    async function timelineOf(found: RunInfo | undefined, runId: string, depth: number): Promise<Timeline> {
      const { run, events } = await read(found, runId)
      const { upcasts }: Partial<Pick<Kernel, 'upcasts'>> = kernel
      const timeline = foldTimeline(run, upcasts?.apply(events) ?? events)
      if (depth <= 0) return timeline
      for (const child of timeline.jobs.flatMap(({ children }) => children)) {
        const begun = await find(child.runId)
        if (begun) child.timeline = await timelineOf(begun, child.runId, depth - 1)
      }
      return timeline
    }

    kernel.extend({
      timeline: async (runId, { depth = 1 } = {}) => timelineOf(await find(runId), runId, depth),
      async exportRun(runId, file) {
        const history = await read(await find(runId), runId)
        await mkdir(dirname(file), { recursive: true })
        await writeFile(`${file}.part`, formatHistory(history), { mode: PRIVATE_FILE })
        await rename(`${file}.part`, file)
        return history
      },
    })
  },
})
