import { isQueueError, type EventStore, type MaybePromise, type StoredEvent } from '../../kernel/index.ts'

/** How many runs a projection keeps folded; the least recently used one goes first. */
const CACHED_RUNS = 1000

export interface Projection<S> {
  /** Folded to the head as of the call. The cached object itself: do not change it. */
  current(runId: string): Promise<Readonly<Folded<S>>>
  /** Folded to an earlier moment, from a snapshot where there is one. */
  at(runId: string, moment: number | Date): Promise<S>
  forget(runId: string): void
}

interface Folded<S> {
  /** What folded it. */
  reducer: string
  /** `seq` of the last event folded. */
  seq: number
  state: S
}

export interface ProjectionOptions<S> {
  /**
   * Name and version of the fold. Snapshots are found under it; change it whenever the fold changes. A
   * function where that may happen at run time: what was folded before is then folded anew.
   */
  reducer: string | (() => string)
  initial: () => S
  /** Folds events into `state`, in place. */
  apply: (state: S, events: readonly StoredEvent[], runId: string, at?: number | Date) => MaybePromise<void>
  /** Keep a snapshot each time this many events have been folded. Default: never. */
  snapshotEvery?: number
}

/**
 * Derives something from the streams of runs and keeps it folded: reading it again costs the events
 * since, not the history.
 */
export function createProjection<S>(
  events: () => EventStore,
  { reducer, initial, apply, snapshotEvery = Infinity }: ProjectionOptions<S>,
): Projection<S> {
  const cache = new Map<string, Promise<Folded<S>>>()
  const nameOf = typeof reducer === 'string' ? () => reducer : reducer
  let cachedBy: string | undefined

  async function start(runId: string, until?: number): Promise<Folded<S>> {
    const name = nameOf()
    const snapshot = await events().snapshots.get(runId, name, until)
    return snapshot
      ? { reducer: name, seq: snapshot.seq, state: Object.assign(initial() as object, snapshot.state) as S }
      : { reducer: name, seq: 0, state: initial() }
  }

  async function forward(kept: Folded<S>, runId: string): Promise<Folded<S>> {
    let folded = kept
    let fresh: StoredEvent[]
    try {
      fresh = await events().read(runId, { after: folded.seq })
    } catch (error) {
      if (!isQueueError(error, 'EVENTS_TRIMMED')) throw error
      // What has been trimmed meanwhile is in a snapshot.
      folded = await start(runId)
      fresh = await events().read(runId, { after: folded.seq })
    }
    if (fresh.length === 0) return folded
    await apply(folded.state, fresh, runId)
    const seq = fresh.at(-1)!.seq
    if (Math.floor(seq / snapshotEvery) > Math.floor(folded.seq / snapshotEvery)) {
      await events().snapshots.put(runId, { reducer: folded.reducer, seq, state: folded.state })
    }
    folded.seq = seq
    return folded
  }

  return {
    /** Calls for one run queue up behind each other, since folding happens in place. */
    current(runId) {
      const name = nameOf()
      if (name !== cachedBy) cache.clear()
      cachedBy = name
      const before = cache.get(runId)
      const folded = (before ? before.catch(() => start(runId)) : start(runId)).then((from) => forward(from, runId))
      cache.delete(runId)
      cache.set(runId, folded)
      folded.catch(() => cache.get(runId) === folded && cache.delete(runId))
      if (cache.size > CACHED_RUNS) cache.delete(cache.keys().next().value!)
      return folded
    },
    async at(runId, moment) {
      const folded = await start(runId, typeof moment === 'number' ? moment : 0)
      const wanted = await events().read(runId, { after: folded.seq, until: moment })
      if (wanted.length > 0) await apply(folded.state, wanted, runId, moment)
      return folded.state
    },
    forget: (runId) => void cache.delete(runId),
  }
}
