import { checkCount, definePlugin, QueueError, type JobFilter, type JobTotals } from '../../../kernel/index.ts'
import { checkOptions } from '../../lib/check-options.ts'
import { createBoundedStream } from '../../lib/bounded-stream.ts'
import { createProjection } from '../../lib/projection.ts'
import { checkBulkOptions, checkTarget, type BulkOptions } from './check.ts'
import { ABORTING, applyBulkEvents, initialState, reportOf } from './report.ts'
import type { BulkAction, BulkReport, BulkRequest } from './report.ts'
import { runBulk } from './work.ts'

export type { BulkOptions } from './check.ts'
export type { BulkAction, BulkReason, BulkReport } from './report.ts'

/** A started bulk action. It is plain data with methods. */
export interface BulkHandle {
  readonly id: string
  /** @throws QueueError `BULK_UNKNOWN` */
  report(): Promise<BulkReport>
  /** Stops the action after the jobs that it has begun. Returns false if the action has ended. @throws QueueError `BULK_UNKNOWN` */
  abort(): Promise<boolean>
  /**
   * Waits for the end of the action.
   *
   * @param options.timeout milliseconds; default: no limit
   * @throws QueueError `RESULT_TIMEOUT`, or an error if the action has failed
   */
  ended(options?: { timeout?: number }): Promise<BulkReport>
}

declare module 'nuxt-queue/kernel' {
  interface Kernel {
    /**
     * Starts an action on all existing jobs that match a filter. It runs as a separate job, acts on each job once, and continues in another
     * process if its process dies.
     *
     * @throws QueueError `OPTION_INVALID`, `OPTION_UNSUPPORTED`; `NAME_RESERVED` for a queue of a plugin
     * @example
     * const bulk = await kernel.bulk('retry', { queue: 'mail', error: 'timed out' })
     * const { done, skipped, failed } = await bulk.ended()
     */
    bulk(action: BulkAction, filter: JobFilter, options?: BulkOptions): Promise<BulkHandle>
    /** Counts the jobs that a bulk action would act on now. @throws QueueError `OPTION_INVALID`, `NAME_RESERVED` */
    countBulk(action: BulkAction, filter: JobFilter): Promise<JobTotals>
    /** Returns the report of a bulk action. The report of a running action shows its progress. @throws QueueError `BULK_UNKNOWN` */
    bulkReport(id: string): Promise<BulkReport>
    /**
     * Returns the reports of bulk actions, newest first. At least the newest 500 are kept.
     *
     * @param options.limit default 50
     * @throws QueueError `OPTION_INVALID`
     */
    bulkReports(options?: { limit?: number }): Promise<BulkReport[]>
    /**
     * Stops a bulk action after the jobs that it has begun. Returns false if it has ended.
     *
     * @throws QueueError `BULK_UNKNOWN`
     */
    abortBulk(id: string): Promise<boolean>
  }
}

const QUEUE = '_bulk'
const WORKER = '_bulk/act'
/** The stream of requests and reports. */
const STREAM = '_bulk'
const KEEP = 1000

/** Acts on all jobs that match a filter. */
export default definePlugin({
  name: 'bulk',
  requires: ['queue', 'events', 'control', 'search', 'job-options'],
  async setup(kernel) {
    const stream = createBoundedStream(kernel, KEEP)
    kernel.declareStreams?.({ names: () => [STREAM], keep: KEEP })
    const states = createProjection(() => kernel.port('events'), {
      reducer: 'bulk@1',
      initial: initialState,
      apply: applyBulkEvents,
    })

    await kernel.registerWorker({
      id: WORKER,
      config: {
        queue: QUEUE,
        concurrency: 4,
        attempts: 50,
        backoff: { type: 'exponential', delay: 100, maxDelay: 60_000 },
      },
      async handler(job, ctx) {
        const request = job.data as BulkRequest
        await runBulk(kernel, ctx, request, states)
        const { state } = await states.current(ctx.runId)
        const report = reportOf(job.id, request, state)
        // Stored here too, because the log of the job expires before its report.
        await stream.append(STREAM, { type: '_bulk.reported', data: report })
        return report
      },
    })

    /** Returns the report of a bulk action whose job or log still exists. */
    async function reportFromLog(id: string, request?: BulkRequest): Promise<BulkReport | undefined> {
      const job = await kernel.port('queue').getJob(QUEUE, id)
      if (!job) return undefined
      const { state } = await states.current(job.runId)
      return reportOf(id, request ?? (job.data as BulkRequest), state)
    }

    /** Returns each known bulk action, newest first: its request, and its report if it has ended. */
    async function recorded(): Promise<Map<string, { request: BulkRequest; report?: BulkReport }>> {
      const known = new Map<string, { request: BulkRequest; report?: BulkReport }>()
      for (const { type, data } of await stream.newest(STREAM, KEEP)) {
        if (type === '_bulk.reported') {
          const report = data as BulkReport
          if (!known.has(report.id)) known.set(report.id, { request: report, report })
        } else {
          const { id, ...request } = data as BulkRequest & { id: string }
          if (!known.has(id)) known.set(id, { request })
        }
      }
      return known
    }

    async function bulkReport(id: string): Promise<BulkReport> {
      const found = (await reportFromLog(id)) ?? (await recorded()).get(id)?.report
      if (found) return found
      throw new QueueError('BULK_UNKNOWN', `There is no bulk action "${id}". List them with bulkReports().`)
    }

    async function abortBulk(id: string): Promise<boolean> {
      const { endedAt } = await bulkReport(id)
      const job = await kernel.port('queue').getJob(QUEUE, id)
      if (!job || endedAt !== undefined) return false
      // The worker stops between two pages, so the report includes every job on which it has acted.
      const { ok } = await kernel.emit(job.runId, [{ type: ABORTING, key: ABORTING }])
      return ok
    }

    kernel.extend({
      async bulk(action, filter, options = {}) {
        const { id = kernel.newId(), ...limits } = checkBulkOptions(options)
        const request: BulkRequest = {
          ...checkTarget(action, filter),
          requestedAt: kernel.clock.now(),
          ...limits,
        }
        // Fails here rather than in the worker if the adapter cannot search.
        await kernel.findJobs({ ...request.filter, limit: 1 })
        const job = await kernel.enqueue(WORKER, request, { id })
        if (!job.deduplicated) await stream.append(STREAM, { type: '_bulk.requested', data: { id, ...request } })
        return {
          id,
          report: () => bulkReport(id),
          abort: () => abortBulk(id),
          async ended(wait) {
            await kernel.result(job, wait)
            return bulkReport(id)
          },
        }
      },
      async countBulk(action, filter) {
        const { filter: checked } = checkTarget(action, filter)
        return kernel.countJobs(checked)
      },
      bulkReport,
      abortBulk,
      async bulkReports(options = {}) {
        const { limit = 50 } = checkOptions('bulkReports()', options, { limit: checkCount })
        const known = await recorded()
        const reports: BulkReport[] = []
        for (const [id, { request, report }] of known) {
          const found = report ?? (await reportFromLog(id, request))
          if (found) reports.push(found)
        }
        return reports.toSorted((a, b) => b.requestedAt - a.requestedAt).slice(0, limit)
      },
    })
  },
})
