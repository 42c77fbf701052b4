import {
  cutText,
  isQueueError,
  QueueError,
  type EventDraft,
  type JobRecord,
  type PluginKernel,
  type RunContext,
} from '../../../kernel/index.ts'
import type { Projection } from '../../lib/projection.ts'
import { createActor, SKIPS } from './act.ts'
import {
  addReason,
  emptyCounts,
  type BulkCounts,
  type BulkRequest,
  type BulkState,
  type SelectedJob,
} from './report.ts'

/** How many jobs are selected at once, and how many are acted on at once. */
const PAGE = 200
const AT_ONCE = 50
const MAX_MESSAGE = 500

/**
 * Runs a bulk action. Before it acts on a page of jobs, it records the page in the log of its own job. A worker that has lost its claim can
 * no longer write to that log, and the next worker continues from the last page. Newest jobs come first, and a page never contains a job of
 * an earlier page, even if the jobs change in between.
 */
export async function runBulk(
  kernel: PluginKernel,
  ctx: RunContext,
  request: BulkRequest,
  states: Projection<BulkState>,
): Promise<'completed' | 'aborted'> {
  const act = createActor(kernel, request)
  const { filter, requestedAt, limit } = request
  const createdBefore = Math.min(filter.createdBefore ?? Infinity, requestedAt + 1)
  const selection = { ...filter, createdBefore }
  /** The records of the pending page, if this process has selected it. */
  let records = new Map<string, JobRecord>()

  const current = async (): Promise<Readonly<BulkState>> => (await states.current(ctx.runId)).state

  /** @throws QueueError `LEASE_LOST` */
  async function journal(...events: Pick<EventDraft, 'type' | 'data'>[]): Promise<void> {
    const result = await kernel.append(
      ctx,
      events.map((event) => ({ ...event, step: ctx.job.name, stepId: ctx.job.id })),
    )
    if (result.ok) return
    throw new QueueError('LEASE_LOST', `Bulk action "${ctx.job.id}" has ended or now belongs to another worker.`)
  }

  async function select({ next, matched }: BulkState): Promise<EventDraft> {
    const room = Math.min(PAGE, limit - matched)
    const page = await kernel.findJobs({ ...selection, limit: room, ...(next && { after: next }) })
    records = new Map(page.jobs.map((job) => [keyOf(job), job]))
    const jobs: SelectedJob[] = page.jobs.map(({ queue, id, state, round, claims, createdAt }) => ({
      ...{ queue, id, state, round, claims, createdAt },
    }))
    const isFull = matched + jobs.length >= limit
    const data = { jobs, next: isFull ? null : (page.next ?? null), truncated: isFull && page.next !== undefined }
    return { type: '_bulk.selected', data }
  }

  async function actOnAll(jobs: readonly SelectedJob[]): Promise<BulkCounts> {
    const counts = emptyCounts()
    for (let from = 0; from < jobs.length; from += AT_ONCE) {
      ctx.signal.throwIfAborted()
      await Promise.all(jobs.slice(from, from + AT_ONCE).map((job) => actOn(job, counts)))
    }
    return counts
  }

  async function actOn(job: SelectedJob, counts: BulkCounts): Promise<void> {
    const record = records.get(keyOf(job))
    let outcome: Awaited<ReturnType<typeof act>>
    try {
      outcome = await act(job, record, record === undefined)
    } catch (error) {
      if (isQueueError(error) && /^STORE_|^KERNEL_|^LEASE_/.test(error.code)) throw error
      outcome = isQueueError(error) ? error : new QueueError('HANDLER_FAILED', String(error))
    }
    if (outcome === 'done') {
      counts.done++
      return
    }
    const { code, message } = outcome
    counts[SKIPS.has(code) ? 'skipped' : 'failed']++
    addReason(counts, { code, message: cutText(message, MAX_MESSAGE), job: { queue: job.queue, id: job.id } })
  }

  if ((await current()).startedAt === undefined) {
    const { counts } = await kernel.countJobs(selection)
    const total = Object.values(counts).reduce((sum, count) => sum + count)
    await journal({ type: '_bulk.started', data: { total } })
  }
  for (;;) {
    const state = await current()
    if (state.status === 'completed' || state.status === 'aborted') return state.status
    const acted = state.pending.length > 0 ? [{ type: '_bulk.acted', data: await actOnAll(state.pending) }] : []
    const { aborting } = acted.length > 0 ? await current() : state
    if (aborting || state.next === null) {
      await journal(...acted, { type: '_bulk.ended', data: { status: aborting ? 'aborted' : 'completed' } })
    } else await journal(...acted, await select(state))
    if (state.total) await kernel.storeProgress(ctx, Math.min(1, state.matched / state.total))
  }
}

function keyOf({ queue, id }: Pick<SelectedJob, 'queue' | 'id'>): string {
  return JSON.stringify([queue, id])
}
