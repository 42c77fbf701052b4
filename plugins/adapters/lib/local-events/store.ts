import {
  QueueError,
  type AppendOptions,
  type EventDraft,
  type EventStore,
  type Kernel,
  type RunInfo,
  type RunPatch,
  type Snapshot,
  type StoredEvent,
} from '../../../../kernel/index.ts'
import { seqAfter } from '../after.ts'
import { ChurnMap } from '../churn-map.ts'
import { EndedLists } from '../ended.ts'
import { cloneValue, copyValue } from '../../../lib/value.ts'
import { createRunIndex } from './runs.ts'
import type { EventCopies } from '../store-copy.ts'
import { createLocalCopies } from './copies.ts'
import { Stream, type StreamView } from './stream.ts'
import { createSubscribers } from './subscribers.ts'

type Host = Pick<Kernel, 'clock' | 'config' | 'reporter'>

/** All runs have the same members in the same order, so that V8 uses one hidden class for them. */
const NO_RUN: RunInfo = {
  runId: '',
  status: 'running',
  name: '',
  queue: undefined,
  jobId: undefined,
  flow: undefined,
  tags: undefined,
  startedAt: 0,
  updatedAt: 0,
  endedAt: undefined,
  head: 0,
}

/** Receives the changes of the store in order. A durable adapter records them. */
interface EventJournal {
  appended(stream: string, change: StoredChange): void
  /** Resolves once all changes are safe. Returns `undefined` if they already are. */
  synced(): Promise<void> | undefined
  snapshot(stream: string, snapshot: Snapshot): void
  trimmed(stream: string, seq: number): void
  expired(streams: readonly string[], events: number): void
  /** A stream was copied from another store. */
  copied(stream: Stream): void
}

/** One accepted append. Applying it is deterministic and idempotent. */
export interface StoredChange extends Pick<AppendOptions, 'run' | 'reopen' | 'fence'> {
  /** `seq` of the first event. */
  seq: number
  ts: number
  events: readonly EventDraft[]
}

export interface LocalEventsOptions {
  durable: boolean
  journal?: EventJournal
}

export interface LocalEvents {
  store: EventStore
  copies: EventCopies
  streams(): IterableIterator<Stream>
  /** Restores the data that an earlier process left. Call `done` at the end. */
  restore: {
    /** Starts a stream, or replaces it. */
    stream(name: string, memory: Stream['memory'], info: RunInfo | undefined): void
    change(stream: string, change: StoredChange): void
    snapshot(stream: string, snapshot: Snapshot): void
    trimmed(stream: string, seq: number): void
    expired(streams: readonly string[]): void
    done(): void
  }
}

/** Creates the event store of one process: one array for each stream. */
export function createLocalEvents(kernel: Host, { durable, journal }: LocalEventsOptions): LocalEvents {
  const streams = new ChurnMap<string, Stream>()
  const subscribers = createSubscribers(kernel.reporter)
  /** The newest timestamp of an event. Timestamps never decrease, even if the clock does. */
  let latest = 0
  const runs = createRunIndex(streams)
  const ended = new EndedLists<Stream>()

  function patchRun(stream: Stream, patch: RunPatch, now: number): void {
    unlist(stream)
    const info = stream.info ?? runs.begin(stream, { ...NO_RUN, runId: stream.name, startedAt: now, updatedAt: now })
    if (patch.status !== undefined) info.status = patch.status
    if (patch.name !== undefined) info.name = patch.name
    if (patch.queue !== undefined) info.queue = patch.queue
    if (patch.jobId !== undefined) info.jobId = patch.jobId
    if (patch.flow !== undefined) info.flow = patch.flow
    if (patch.tags !== undefined) runs.tag(stream, patch.tags)
    info.endedAt = info.status === 'running' ? undefined : now
    list(stream)
  }

  /** Adds an ended run to the list of runs that expire. */
  function list(stream: Stream): void {
    const { status, queue, endedAt } = stream.info!
    if (status !== 'running') stream.ended = ended.add(stream, { outcome: status, queue, endedAt: endedAt! })
  }

  function unlist(stream: Stream): void {
    if (stream.ended) ended.remove(stream.ended)
    stream.ended = undefined
  }

  /** Applies an append. A new append and a restored one take the same path. */
  function apply(
    stream: Stream,
    drafts: readonly EventDraft[],
    data: readonly unknown[],
    options: AppendOptions,
    now: number,
  ): StoredEvent[] {
    if (stream.head === 0) streams.set(stream.name, stream)
    const events = stream.push(drafts, data, now)
    if (options.fence) stream.raiseFence(options.fence)
    touch(stream, options, now)
    return events
  }

  /**
   * Shows an append to followers and readers once it is safe, and never without a disk. Otherwise a page could see an event that a
   * crash loses, and would skip the event that gets its number afterwards.
   */
  function show(stream: Stream, events: readonly StoredEvent[], before: StreamView | undefined): void {
    const synced = before && journal?.synced()
    if (!synced) return subscribers.events(stream.name, events)
    const reveal = stream.hide(before)
    const shown = (): void => {
      reveal()
      subscribers.events(stream.name, events)
    }
    synced.then(shown, () => {})
  }

  function touch(stream: Stream, { run, reopen }: AppendOptions, now: number): void {
    if (run) patchRun(stream, run, now)
    else if (reopen && stream.info?.status !== 'running') patchRun(stream, { status: 'running' }, now)
    if (!stream.info) return
    stream.info.updatedAt = now
    stream.info.head = stream.head
  }

  function copyData({ type, data }: EventDraft): unknown {
    return data === undefined ? data : copyValue(data, kernel.config.payloadLimit, `data of event "${type}"`)
  }

  function readTrimmed(name: string, after: number): Stream | undefined {
    const stream = streams.get(name)
    if (!stream || after >= stream.trimmed) return stream
    const hint = `Its events start at seq ${stream.trimmed + 1}. Start from a snapshot.`
    throw new QueueError('EVENTS_TRIMMED', `The events of run ${name} after seq ${after} were trimmed. ${hint}`, {
      details: { trimmed: stream.trimmed },
    })
  }

  /** Deletes streams, including everything that the indexes hold of them. Returns their number. */
  function remove(gone: readonly Stream[]): number {
    let events = 0
    for (const stream of gone) {
      streams.delete(stream.name)
      runs.forget(stream)
      events += stream.events.length
    }
    if (gone.length > 0)
      journal?.expired(
        gone.map(({ name }) => name),
        events,
      )
    return gone.length
  }

  const store: EventStore = {
    capabilities: { durable, shared: false, globalCursor: false },
    append(name, drafts, options = {}) {
      const stream = streams.get(name) ?? new Stream(name)
      const reason = stream.refusal(options)
      if (reason) return { ok: false, reason, head: stream.head }
      const copies = drafts.map(copyData)
      const now = (latest = Math.max(latest, kernel.clock.now()))
      const before = journal && stream.view()
      const events = apply(stream, drafts, copies, options, now)
      journal?.appended(name, { ...options, seq: stream.head - events.length + 1, ts: now, events })
      show(stream, events, before)
      return { ok: true, events, head: stream.head }
    },
    read: (name, options = {}) => readTrimmed(name, options.after ?? 0)?.read(options) ?? [],
    byKey(name, key) {
      const stream = streams.get(name)
      const event = stream?.byKey(key)
      return event && event.seq <= stream!.shownHead ? { ...event, data: cloneValue(event.data) } : undefined
    },
    head: (name) => streams.get(name)?.shownHead ?? 0,
    snapshots: {
      get(name, reducer, until = Infinity) {
        const found = streams.get(name)?.snapshots?.findLast((one) => one.reducer === reducer && one.seq <= until)
        return found && { ...found, state: cloneValue(found.state) }
      },
      put(name, snapshot) {
        const copy = { ...snapshot, state: cloneValue(snapshot.state) }
        if (streams.get(name)?.keep(copy)) journal?.snapshot(name, copy)
      },
    },
    subscribe(name, { after, onMessage }, listener) {
      if (name === '*' && after !== undefined) {
        const message = 'This event store has no cursor over all runs. Omit "after", or subscribe to one run.'
        throw new QueueError('OPTION_UNSUPPORTED', message)
      }
      const from = after === undefined ? undefined : seqAfter(after)
      const replay: StoredEvent[] = from === undefined ? [] : (readTrimmed(name, from)?.read({ after: from }) ?? [])
      return subscribers.add(name, listener, onMessage, replay, from)
    },
    publish: (name, messages) => subscribers.messages(name, messages),
    runs: {
      get: (runId) => cloneValue(streams.get(runId)?.shownRun),
      list: (filter) => runs.list(filter).map(cloneValue),
    },
    expire: (policy) => remove([...ended.expire(policy)]),
    forget(heads) {
      const known = heads.map(({ stream, seq }) => ({ stream: streams.get(stream), seq }))
      return remove(known.flatMap(({ stream, seq }) => (stream && !stream.info && stream.head === seq ? [stream] : [])))
    },
    trim(name, seq) {
      const stream = streams.get(name)
      if (!stream) return
      if (!stream.snapshots?.some((snapshot) => snapshot.seq >= seq)) {
        throw new QueueError(
          'EVENTS_CONFLICT',
          `Run ${name} was not trimmed: no snapshot covers seq ${seq}. Store a snapshot first.`,
        )
      }
      stream.trim(seq)
      journal?.trimmed(name, seq)
    },
    close: () => subscribers.clear(),
  }

  /** Makes a stream a run that began and ended in another store. */
  function setRun(stream: Stream, run: RunInfo): void {
    if (stream.info) {
      unlist(stream)
      runs.forget(stream)
    }
    runs.begin(stream, { ...NO_RUN, ...run })
    list(stream)
  }

  return {
    store,
    copies: createLocalCopies({ streams, setRun, copied: (stream) => journal?.copied(stream) }),
    streams: () => streams.values(),
    restore: {
      stream(name, memory, info) {
        const stream = new Stream(name)
        stream.recall(memory)
        const before = streams.get(name)
        if (before) runs.forget(before)
        streams.set(name, stream)
        if (info) runs.begin(stream, { ...NO_RUN, ...info })
      },
      change(name, { seq, ts, events, ...options }) {
        const stream = streams.get(name) ?? new Stream(name)
        latest = Math.max(latest, ts)
        const fresh = events.slice(Math.max(0, stream.head - seq + 1))
        apply(
          stream,
          fresh,
          fresh.map(({ data }) => data),
          options,
          ts,
        )
      },
      snapshot: (name, snapshot) => void streams.get(name)?.keep(snapshot),
      trimmed: (name, seq) => streams.get(name)?.trim(seq),
      expired(names) {
        for (const name of names) {
          const stream = streams.get(name)
          if (!stream) continue
          unlist(stream)
          runs.forget(stream)
          streams.delete(name)
        }
      },
      /** Sorts the restored runs: they were read in the order of their creation and expire in the order of their end. */
      done() {
        const over = [...streams.values()].filter(({ info }) => info && info.status !== 'running')
        for (const stream of over) unlist(stream)
        for (const stream of over.toSorted((a, b) => a.info!.endedAt! - b.info!.endedAt!)) list(stream)
      },
    },
  }
}
