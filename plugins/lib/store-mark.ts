import type { AppendResult, EventStore } from '../../kernel/index.ts'

/** The stream that says whether a store may be used. It is not copied to other stores. */
export const STORE_STREAM = '_store'

/**
 * What the newest event of `STORE_STREAM` says:
 *
 *     source:  (none) ──┬── moving ───────────────┬──> moved
 *                       └── copying ── draining ──┤
 *                                                 └──> kept (aborted; the store may be used again)
 *     target:  (none) ── receiving ──> ready
 *
 * A store that is `copying` is in use. With `draining`, the processes that use it close.
 */
export type StoreState = 'moving' | 'copying' | 'draining' | 'moved' | 'kept' | 'receiving' | 'ready'

export interface StoreMark {
  state: StoreState
  /** The id of the move. */
  move: string
  /** The other store, without its password. */
  other: string
}

const PREFIX = 'store.'

/** Returns the mark of a store, or `undefined` if it has never taken part in a move. */
export async function readMark(events: Pick<EventStore, 'read'>): Promise<StoreMark | undefined> {
  const [last] = await events.read(STORE_STREAM, { reverse: true, limit: 1 })
  if (!last) return undefined
  return { state: last.type.slice(PREFIX.length) as StoreState, move: last.flow ?? '', other: last.step ?? '' }
}

/** Stores a mark. It has no data, which another plugin may encrypt. Returns its `seq`, and its time by the clock of the store. */
export async function writeMark(
  events: Pick<EventStore, 'append'>,
  { state, move, other }: StoreMark,
): Promise<{ seq: number; ts: number }> {
  const result = await events.append(STORE_STREAM, [{ type: `${PREFIX}${state}`, flow: move, step: other }])
  // An append without conditions is not rejected.
  const [event] = (result as Extract<AppendResult, { ok: true }>).events
  return event!
}
