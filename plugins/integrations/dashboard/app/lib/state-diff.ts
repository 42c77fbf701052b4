import { foldState } from '../../../../context/lib/fold-state.ts'
import type { RunEvent } from '../api/types.ts'

export interface StateChange {
  key: string
  kind: 'added' | 'changed' | 'removed'
  before?: unknown
  after?: unknown
}

/** Returns the state of a run after some events. */
export function stateOf(events: readonly RunEvent[]): Record<string, unknown> {
  // A key such as `__proto__` is an ordinary key here.
  const state = Object.create(null) as Record<string, unknown>
  foldState({ events, state })
  return state
}

/** Returns the differences between two states, in the order of their keys. */
export function diffState(
  before: Readonly<Record<string, unknown>>,
  after: Readonly<Record<string, unknown>>,
): StateChange[] {
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])].toSorted()
  return keys.flatMap((key): StateChange[] => {
    if (!(key in before)) return [{ key, kind: 'added', after: after[key] }]
    if (!(key in after)) return [{ key, kind: 'removed', before: before[key] }]
    const unchanged = Object.is(before[key], after[key]) || JSON.stringify(before[key]) === JSON.stringify(after[key])
    return unchanged ? [] : [{ key, kind: 'changed', before: before[key], after: after[key] }]
  })
}
