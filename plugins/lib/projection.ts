import { isQueueError, type EventStore, type MaybePromise, type StoredEvent } from '../../kernel/index.ts'

/** How many runs a projection caches. The least recently used one is dropped first. */
const CACHED_RUNS = 1000

export interface Projection<S> {
  /** Returns the state at the head of the stream. It is the cached object itself, so do not change it. */
  current(runId: string): Promise<Readonly<Folded<S>>>
  /** Returns the state at an earlier `seq` or time. Starts from a snapshot if there is one. */
  at(runId: string, moment: number | Date): Promise<S>
  /** Removes a run from the cache. */
  forget(runId: string): void
}

interface Folded<S> {
  /** The name of the fold. */
  reducer: string
  /** `seq` of the last event folded. */
  seq: number
  state: S
}

export interface ProjectionOptions<S> {
  /**
   * Name and version of the fold, under which snapshots are stored. Change it whenever the fold changes. Pass a
   * function if the fold can change at run time. Cached states are folded again when its result changes.
   */
  reducer: string | (() => string)
  initial: () => S
  /** Applies events to `state`, in place. */
  apply: (state: S, events: readonly StoredEvent[], runId: string, at?: number | Date) => MaybePromise<void>
  /** Stores a snapshot each time this many events have been folded. Default: never. */
  snapshotEvery?: number
}

/**
 * Derives a state from the event stream of each run, and caches it. Reading it again applies only the events that
 * were appended since the last read.
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
      // Events were trimmed in the meantime. A snapshot covers them.
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
    /** Calls for one run wait for each other, because a state is changed in place. */
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
      const selected = await events().read(runId, { after: folded.seq, until: moment })
      if (selected.length > 0) await apply(folded.state, selected, runId, moment)
      return folded.state
    },
    forget: (runId) => void cache.delete(runId),
  }
}
