import { definePlugin, MAX_COUNT, QueueError, type Kernel, type RunInfo } from '../../../kernel/index.ts'
import { between, checkOptions, checkString } from '../../lib/check-options.ts'
import { foldTimeline } from '../lib/fold-timeline.ts'
import { writeHistory, type RunHistory } from '../lib/history.ts'
import type { Timeline } from '../lib/timeline.ts'

export type { RunHistory } from '../lib/history.ts'
export type { Timeline, TimelineAttempt, TimelineChild, TimelineJob, TimelineWait } from '../lib/timeline.ts'

declare module 'nuxt-queue/kernel' {
  interface Kernel {
    /**
     * Writes the history of a run to a file, and returns the history. The commands `nuxt-queue show`, `state` and
     * `runs` open such a file like a run.
     *
     * @throws QueueError `RUN_NOT_FOUND`, `EVENTS_TRIMMED` or `OPTION_INVALID`
     * @example
     * await kernel.exportRun(runId, `${runId}.jsonl`)
     */
    exportRun(runId: string, file: string): Promise<RunHistory>
    /**
     * Returns the course of a run, job by job: when a job was queued, how its attempts ended, what it waited for, and how long each part
     * took. It is meant for dashboards and people. It reads the whole stream of each run once.
     *
     * @param options.depth how many levels of runs that jobs have started are included. Default 1
     * @throws QueueError `RUN_NOT_FOUND`, `EVENTS_TRIMMED` or `OPTION_INVALID`
     * @example
     * const { jobs } = await kernel.timeline(runId)
     * for (const { step, status, duration } of jobs) console.log(step, status, duration)
     */
    timeline(runId: string, options?: { depth?: number }): Promise<Timeline>
  }
}

/** Shows the course of a run, and exports its history to a file that is independent of the store. */
export default definePlugin({
  name: 'history',
  requires: ['events'],
  setup(kernel) {
    const find = async (runId: string): Promise<RunInfo | undefined> => kernel.port('events').runs.get(runId)

    async function read(run: RunInfo | undefined, runId: string): Promise<RunHistory> {
      if (!run) {
        const hint = 'It may not have started yet, or it has expired.'
        throw new QueueError('RUN_NOT_FOUND', `There is no run "${runId}". ${hint}`)
      }
      const events = await kernel.port('events').read(runId)
      // The run may have received events since it was looked up.
      return { run: { ...run, head: events.at(-1)?.seq ?? 0 }, events }
    }

    async function timelineOf(found: RunInfo | undefined, runId: string, depth: number): Promise<Timeline> {
      const { run, events } = await read(found, runId)
      const { upcasts }: Partial<Pick<Kernel, 'upcasts'>> = kernel
      const timeline = foldTimeline(run, upcasts?.apply(events) ?? events)
      if (depth <= 0) return timeline
      for (const child of timeline.jobs.flatMap(({ children }) => children)) {
        const childRun = await find(child.runId)
        if (childRun) child.timeline = await timelineOf(childRun, child.runId, depth - 1)
      }
      return timeline
    }

    kernel.extend({
      async timeline(runId, options = {}) {
        const { depth = 1 } = checkOptions('timeline()', options, { depth: between(0, MAX_COUNT) })
        return timelineOf(await find(runId), runId, depth)
      },
      async exportRun(runId, file) {
        const path = checkString('The file of exportRun()', file)
        const history = await read(await find(runId), runId)
        await writeHistory(history, path)
        return history
      },
    })
  },
})
