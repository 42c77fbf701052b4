import type { ReducePayload, StoredEvent } from '../../../kernel/index.ts'

interface Change {
  key: string
  value?: unknown
}

/** Folds the three kinds of state events into the state of a run. Runs in browsers too. */
export function foldState({ events, state }: Pick<ReducePayload, 'events' | 'state'>): void {
  for (const event of events) {
    if (event.type === 'state.set') {
      const { key, value } = event.data as Change
      state[key] = value
    } else if (event.type === 'state.delete') {
      delete state[(event.data as Change).key]
    } else if (event.type === 'state.batch') {
      for (const { key, value } of changesOf(event)) state[key] = value
    }
  }
}

/** The changes are a list of pairs, because an object would treat the key `__proto__` in a special way. */
function changesOf(event: StoredEvent): readonly Change[] {
  return (event.data as { changes: readonly Change[] }).changes
}
