import {
  QueueError,
  type AppendOptions,
  type EventDraft,
  type EventStore,
  type Kernel,
  type RunFilter,
  type RunInfo,
  type RunPatch,
  type StoredEvent,
} from '../../kernel/index.ts'
import { ChurnMap } from '../_shared/churn-map.ts'
import { endedByOutcome } from '../_shared/ended.ts'
import { cloneValue, copyValue } from '../_shared/value.ts'
import { Stream } from './stream.ts'
import { createSubscribers } from './subscribers.ts'

type Host = Pick<Kernel, 'clock' | 'config' | 'reporter'>

/** The event store of one process: an array a stream, gone with it. */
export function createMemoryEventStore(kernel: Host): EventStore {
  const streams = new ChurnMap<string, Stream>()
  const subscribers = createSubscribers(kernel.reporter)
  /** The newest moment given to an event: time does not go back, whatever the clock does. */
  let latest = 0
  /** Ended runs by outcome, the one that ended first in front. */
  const ended = endedByOutcome<Stream>()

  function patchRun(stream: Stream, patch: RunPatch, now: number): void {
    const was = stream.info?.status
    if (was !== undefined && was !== 'running') ended[was].remove(stream.ended!)
    const info = (stream.info ??= {
      runId: stream.name,
      status: 'running',
      name: '',
      queue: undefined,
      jobId: undefined,
      flow: undefined,
      startedAt: now,
      updatedAt: now,
      endedAt: undefined,
      head: 0,
    })
    if (patch.status !== undefined) info.status = patch.status
    if (patch.name !== undefined) info.name = patch.name
    if (patch.queue !== undefined) info.queue = patch.queue
    if (patch.jobId !== undefined) info.jobId = patch.jobId
    if (patch.flow !== undefined) info.flow = patch.flow
    if (info.status === 'running') {
      info.endedAt = undefined
    } else {
      info.endedAt = now
      stream.ended = ended[info.status].add(stream, now)
    }
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
    const hint = `It starts at ${stream.trimmed + 1}; start from a snapshot.`
    throw new QueueError('EVENTS_TRIMMED', `Run ${name} has no events left after seq ${after}. ${hint}`)
  }

  return {
    capabilities: { durable: false, shared: false, globalCursor: false },
    append(name, drafts, options = {}) {
      const stream = streams.get(name) ?? new Stream(name)
      const reason = stream.refusal(options)
      if (reason) return { ok: false, reason, head: stream.head }
      const copies = drafts.map(copyData)
      const now = (latest = Math.max(latest, kernel.clock.now()))
      if (stream.head === 0) streams.set(name, stream)
      const events = stream.push(drafts, copies, now)
      if (options.fence) stream.raiseFence(options.fence)
      touch(stream, options, now)
      subscribers.events(name, events)
      return { ok: true, events, head: stream.head }
    },
    read: (name, options = {}) => readTrimmed(name, options.after ?? 0)?.read(options) ?? [],
    byKey(name, key) {
      const event = streams.get(name)?.byKey(key)
      return event && { ...event, data: cloneValue(event.data) }
    },
    head: (name) => streams.get(name)?.head ?? 0,
    snapshots: {
      get(name, reducer, until = Infinity) {
        const found = streams.get(name)?.snapshots?.findLast((one) => one.reducer === reducer && one.seq <= until)
        return found && { ...found, state: cloneValue(found.state) }
      },
      put(name, snapshot) {
        const stream = streams.get(name)
        if (!stream) return
        const snapshots = (stream.snapshots ??= [])
        const before = snapshots.findLastIndex(({ seq }) => seq <= snapshot.seq)
        snapshots.splice(before + 1, 0, { ...snapshot, state: cloneValue(snapshot.state) })
      },
    },
    subscribe(name, { after, onMessage }, listener) {
      if (name === '*' && after !== undefined) {
        const message = 'Events in memory have no cursor over all runs. Leave "after" out, or follow one run.'
        throw new QueueError('OPTION_UNSUPPORTED', message)
      }
      const replay: StoredEvent[] =
        after === undefined ? [] : (readTrimmed(name, Number(after))?.read({ after: Number(after) }) ?? [])
      return subscribers.add(name, listener, onMessage, replay)
    },
    publish: (name, messages) => subscribers.messages(name, messages),
    runs: {
      get: (runId) => cloneValue(streams.get(runId)?.info),
      list({ limit = 100, ...filter } = {}) {
        const infos = [...streams.values()].flatMap(({ info }) => (info && matches(info, filter) ? [info] : []))
        return infos.toReversed().slice(0, limit).map(cloneValue)
      },
    },
    expire({ outcome, ...bounds }) {
      let expired = 0
      for (const { name } of ended[outcome].expire(bounds)) {
        streams.delete(name)
        expired++
      }
      return expired
    },
    trim(name, seq) {
      const stream = streams.get(name)
      if (!stream) return
      if (!stream.snapshots?.some((snapshot) => snapshot.seq >= seq)) {
        throw new QueueError('EVENTS_CONFLICT', `No snapshot of run ${name} covers seq ${seq}, so nothing was trimmed.`)
      }
      stream.trim(seq)
    },
    close: () => subscribers.clear(),
  }
}

function matches(info: RunInfo, { hideInternal, ...wanted }: RunFilter): boolean {
  if (hideInternal && info.queue?.startsWith('_')) return false
  return Object.entries(wanted).every(([key, value]) => value === undefined || info[key as keyof RunInfo] === value)
}
