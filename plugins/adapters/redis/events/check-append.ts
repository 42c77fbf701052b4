import { invalid, type AppendOptions, type EventDraft } from '../../../../kernel/index.ts'

const STATUSES: readonly unknown[] = ['running', 'completed', 'failed', 'cancelled']

/**
 * Rejects an append that the script cannot read, or whose texts would change in the store. The check comes first, because one call of
 * the script contains several appends.
 *
 * @throws QueueError `OPTION_INVALID`
 */
export function checkAppendTypes(stream: string, events: readonly EventDraft[], options: AppendOptions): void {
  const { unless, fence, expectedSeq, run } = options
  checkText('The stream of an append', stream)
  for (const { key } of events) if (key !== undefined) checkText('The key of an event', key)
  if (unless !== undefined) checkText('Option "unless" of an append', unless)
  if (fence !== undefined) {
    checkText('The job of a fence', fence.job)
    checkInteger('The token of a fence', fence.token)
  }
  if (expectedSeq !== undefined) checkInteger('Option "expectedSeq" of an append', expectedSeq)
  if (run === undefined) return
  if (run.status !== undefined && !STATUSES.includes(run.status)) {
    throw invalid('The status of a run', STATUSES.join(', '), run.status)
  }
  const { name = '', queue = '', jobId = '', flow = '', tags = [] } = run
  for (const text of [name, queue, jobId, flow, ...tags]) checkText('A name or tag of a run', text)
}

function checkText(what: string, value: unknown): void {
  if (typeof value !== 'string' || !value.isWellFormed()) throw invalid(what, 'well-formed text', value)
}

function checkInteger(what: string, value: unknown): void {
  if (!Number.isSafeInteger(value)) throw invalid(what, 'an integer', value)
}
