import type { AppendOptions, EventDraft, RunPatch } from '../../../kernel/index.ts'

/** An append that waits to be sent. */
export interface WaitingAppend {
  readonly drafts: readonly EventDraft[]
  readonly options: AppendOptions
}

/** Successive appends to one stream that are sent as one. */
export interface MergedAppends<Item extends WaitingAppend> {
  members: Item[]
  options: AppendOptions
}

/**
 * Merges an append into the earlier appends to its stream if all are accepted or refused together, for example the start, the logs and the
 * end of a short job. Returns false if the append has to be sent separately.
 */
export function mergeAppend<Item extends WaitingAppend>(merged: MergedAppends<Item>, item: Item): boolean {
  const { members, options } = merged
  const { unless, fence, expectedSeq, reopen, run } = item.options
  if (expectedSeq !== undefined || options.expectedSeq !== undefined || reopen || options.reopen) return false
  if (unless !== options.unless || fence?.job !== options.fence?.job || fence?.token !== options.fence?.token)
    return false
  // After an append that ends the run, or that contains the key of `unless`, this append is refused on its own.
  if (options.run?.status !== undefined && options.run.status !== 'running') return false
  if (unless !== undefined && hasKey(members, unless)) return false
  for (const { key } of item.drafts) if (key !== undefined && hasKey(members, key)) return false
  members.push(item)
  if (run) merged.options = { ...options, run: mergeRuns(options.run, run) }
  return true
}

function hasKey(members: readonly WaitingAppend[], key: string): boolean {
  return members.some(({ drafts }) => drafts.some((draft) => draft.key === key))
}

function mergeRuns(before: RunPatch | undefined, run: RunPatch): RunPatch {
  if (!before) return run
  const { name = before.name, status = before.status, queue = before.queue, flow = before.flow } = run
  return { name, status, queue, flow, jobId: run.jobId ?? before.jobId, tags: run.tags ?? before.tags }
}
