import type { ClaimedRow } from './claim.ts'

/** A row of `nq_take_turn`: a settled job (`s`), a claimed job (`c`), or the next due time (`d`). */
export interface PollRow extends ClaimedRow {
  kind: 's' | 'c' | 'd'
}

/** Reads the rows of a poll, which `nq_take_turn` returns. Claimed jobs come in the order in which they start. */
export function readPoll(rows: readonly PollRow[]) {
  const settledIds = new Set<string>()
  const claimed: PollRow[] = []
  let due: number | null = null
  for (const row of rows) {
    if (row.kind === 's') settledIds.add(row.id)
    else if (row.kind === 'c') claimed.push(row)
    else due = row.due
  }
  claimed.sort((a, b) => b.priority - a.priority || a.created - b.created)
  return { claimed, due, settledIds }
}
