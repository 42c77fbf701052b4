import { z } from 'zod'
import type { Kernel } from '../../../../kernel/index.ts'
import * as answers from './answers.ts'
import { bulkReport } from './operator-answers.ts'
import { filterBody, filterOfBody } from './job-filter.ts'
import { route, type RouteCall, type Route } from './route.ts'
import { count, limit, name, prose } from './values.ts'

type Report = Awaited<ReturnType<Kernel['bulkReport']>>
type BulkCall = Pick<RouteCall<'bulk/:bulk', undefined, undefined>, 'kernel' | 'params' | 'assertMay'>

/** Returns the subject of a bulk action: the queue or the run, if its filter names one. */
function subjectOf({ filter: { queue, runId }, action }: Pick<Report, 'filter' | 'action'>) {
  return { bulkAction: action, ...(queue !== undefined && { queue }), ...(runId !== undefined && { runId }) }
}

/** @throws QueueError `BULK_UNKNOWN`, `REQUEST_FORBIDDEN` */
async function find({ kernel, params, assertMay }: BulkCall): Promise<Report> {
  const report = await kernel.bulkReport(params.bulk)
  await assertMay(subjectOf(report))
  return report
}

export const bulkRoutes: readonly Route[] = [
  route({
    id: 'listBulk',
    method: 'GET',
    path: 'bulk',
    action: 'bulk.read',
    summary: 'List the bulk actions with their reports, newest first',
    query: z.strictObject({ limit: limit(50, 500) }),
    answer: z.object({ bulk: z.array(bulkReport) }),
    async handle({ kernel, query, mayRead }) {
      const bulk = []
      for (const report of await kernel.bulkReports(query)) {
        if (await mayRead({ type: 'bulk.read', bulk: report.id, ...subjectOf(report) })) bulk.push(report)
      }
      return { bulk }
    },
  }),
  route({
    id: 'startBulk',
    method: 'POST',
    path: 'bulk',
    action: 'bulk.start',
    summary: 'Act on all jobs that match a filter and were created until now, no matter whom they belong to',
    body: z.strictObject({
      action: bulkReport.shape.action,
      /** An absent member matches every job. Without `states`, the filter matches the states to which the action applies. */
      filter: filterBody.default({}),
      /** The id of the bulk action. If a bulk action with this id exists, it is returned. */
      id: name.optional(),
      /** The maximum number of jobs to act on. Default 100,000. */
      limit: count.optional(),
      /** The reason for a cancellation. */
      reason: prose.optional(),
    }),
    answer: bulkReport,
    status: 202,
    subject(_kernel, { action, filter }) {
      const given = Object(filter) as Record<string, unknown>
      const texts = { bulkAction: action, queue: given.queue, runId: given.runId }
      return Object.fromEntries(Object.entries(texts).filter(([, value]) => typeof value === 'string'))
    },
    async handle({ kernel, body: { action, filter, ...options }, assertMay }) {
      const started = await kernel.bulk(action, filterOfBody(filter), options)
      const report = await started.report()
      // Another caller may have started a bulk action with this id.
      await assertMay({ bulk: started.id, ...subjectOf(report) })
      return report
    },
  }),
  route({
    id: 'getBulk',
    method: 'GET',
    path: 'bulk/:bulk',
    action: 'bulk.read',
    summary: 'Get the report of a bulk action, which shows its progress',
    answer: bulkReport,
    handle: find,
  }),
  route({
    id: 'abortBulk',
    method: 'POST',
    path: 'bulk/:bulk/abort',
    action: 'bulk.abort',
    idempotent: true,
    summary: 'Stop a bulk action after the jobs that it has begun',
    answer: answers.changed,
    async handle(call) {
      const { id } = await find(call)
      return { changed: await call.kernel.abortBulk(id) }
    },
  }),
]
