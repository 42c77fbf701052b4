import type { Run, RunEvent, RunState } from '../api/types.ts'

const ENDS: Readonly<Record<string, RunState>> = {
  'flow.completed': 'completed',
  'flow.failed': 'failed',
  'flow.cancelled': 'cancelled',
}

/**
 * Returns the state of a run after its first events.
 *
 * @param events the events up to that moment
 */
export function runAt(run: Run, events: readonly RunEvent[]): Run {
  const last = events.at(-1)
  if (!last || last.seq >= run.head) return run
  const end = events.findLast(({ type }) => type in ENDS)
  const { endedAt: _later, ...start } = run
  const past = { ...start, status: end ? ENDS[end.type]! : ('running' as const), updatedAt: last.ts, head: last.seq }
  return end ? { ...past, endedAt: end.ts } : past
}

/** Returns the events up to a `seq`. The `seq` of a run starts at 1 and has no gaps. */
export function upTo(events: readonly RunEvent[], seq: number | undefined): readonly RunEvent[] {
  return seq === undefined ? events : events.slice(0, seq)
}

/** Returns the result of a run, its error, or the reason for its cancellation. */
export function outcomeOf(
  events: readonly RunEvent[],
): { result?: unknown; error?: unknown; reason?: string } | undefined {
  const end = events.findLast(({ type }) => type in ENDS)
  return end?.data as { result?: unknown; error?: unknown; reason?: string } | undefined
}
