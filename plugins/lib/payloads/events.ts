import {
  isPromise,
  type AppendResult,
  type EventDraft,
  type EventStore,
  type MaybePromise,
} from '../../../kernel/index.ts'
import type { Reporter, StoredEvent, StreamListener } from '../../../kernel/index.ts'
import { copyValue } from '../value.ts'
import { after, createLeaves, mapAll, type PayloadCodec, type Reader } from './codec.ts'
import { createDeliveryOrder } from './order.ts'
import { hasPayloads, mapEventData, mayHoldText, mapMessageData, mapSnapshot } from './members.ts'

/** Returns an event store whose payloads a codec has encoded, and decodes again for everyone who reads. */
export function encodeEvents(store: EventStore, codec: PayloadCodec, reporter: Reporter): EventStore {
  const leaves = createLeaves(codec)
  /** The last append of each stream that is still being encoded. Later appends to the stream wait for it. */
  const encoding = new Map<string, Promise<unknown>>()

  function encodeDraft(stream: string, draft: EventDraft): MaybePromise<{ plain: EventDraft; encoded: EventDraft }> {
    const { type, stepId = '' } = draft
    if (draft.data === undefined || !hasPayloads(type)) return { plain: draft, encoded: draft }
    // The copy keeps the value as it is while it is being encoded.
    const data = copyValue(draft.data, Number.MAX_SAFE_INTEGER, `data of event "${type}"`)
    const place = { runId: stream, id: stepId }
    return after(mapEventData(type, data, leaves.encode(place)), (changed) =>
      changed === data
        ? { plain: draft, encoded: draft }
        : { plain: { ...draft, data }, encoded: { ...draft, data: changed } },
    )
  }

  function decodeEvent(event: StoredEvent, reader: Reader): MaybePromise<StoredEvent> {
    const { type, data, runId, stepId = '' } = event
    const decoded = mapEventData(type, data, leaves.decode({ runId, id: stepId }, reader))
    return after(decoded, (plain) => (plain === data ? event : { ...event, data: plain }))
  }

  const decodeAll = (events: readonly StoredEvent[], reader: Reader): MaybePromise<StoredEvent[]> =>
    mapAll(events, (event) => decodeEvent(event, reader))

  const append: EventStore['append'] = (stream, drafts, options) => {
    const before = encoding.get(stream)
    if (!before && !codec.active) {
      for (const { type, data, stepId = '' } of drafts) {
        if (!mayHoldText(data, codec.prefix)) continue
        void mapEventData(type, data, leaves.encode({ runId: stream, id: stepId }))
      }
      return store.append(stream, drafts, options)
    }
    const encoded = mapAll(drafts, (draft) => encodeDraft(stream, draft))
    const store_ = (pairs: Awaited<typeof encoded>): MaybePromise<AppendResult> =>
      after(
        store.append(
          stream,
          pairs.map((pair) => pair.encoded),
          options,
        ),
        (result) => withPlainData(result, pairs),
      )
    if (!before && !isPromise(encoded)) return store_(encoded)
    // The append is sent once the earlier one has been sent. It does not wait for its result.
    const sent = Promise.all([encoded, before?.catch(() => {})]).then(([pairs]) => ({ result: store_(pairs) }))
    encoding.set(stream, sent)
    const done = (): void => void (encoding.get(stream) === sent && encoding.delete(stream))
    sent.then(done, done)
    return sent.then(({ result }) => result)
  }

  return Object.assign(Object.create(store) as EventStore, {
    append,
    read: (stream, options) => after(store.read(stream, options), (events) => decodeAll(events, 'read')),
    byKey: (stream, key) => after(store.byKey(stream, key), (event) => event && decodeEvent(event, 'read')),
    snapshots: {
      get: (stream, reducer, until) =>
        after(store.snapshots.get(stream, reducer, until), (snapshot) => {
          if (!snapshot) return snapshot
          const leaf = leaves.decode({ runId: stream, id: '' }, 'read')
          return after(mapSnapshot(reducer, snapshot.state, leaf), (state) =>
            // A state that cannot be decoded is a text. Without a snapshot, it is folded again.
            typeof state === 'string' && state !== snapshot.state ? undefined : { ...snapshot, state },
          )
        }),
      put: (stream, snapshot) => {
        const leaf = leaves.encode({ runId: stream, id: '' })
        return after(mapSnapshot(snapshot.reducer, snapshot.state, leaf), (state) =>
          store.snapshots.put(stream, { ...snapshot, state }),
        )
      },
    },
    subscribe(stream, options, listener) {
      const { onMessage } = options
      const inOrder = createDeliveryOrder(reporter)
      const receive: StreamListener = (events, cursor) =>
        inOrder(decodeAll(events, 'show'), (plain) => listener(plain, cursor))
      const hear: typeof onMessage = (message, from) => {
        const leaf = leaves.decode({ runId: from, id: '' }, 'show')
        return inOrder(mapMessageData(message.type, message.data, leaf), (data) =>
          onMessage!({ ...message, data }, from),
        )
      }
      const subscribed = store.subscribe(stream, onMessage ? { ...options, onMessage: hear } : options, receive)
      return after(subscribed, (unsubscribe) => () => {
        inOrder.stop()
        unsubscribe()
      })
    },
    publish(stream, messages) {
      const leaf = leaves.encode({ runId: stream, id: '' })
      const encoded = mapAll(messages, (message) =>
        after(mapMessageData(message.type, message.data, leaf), (data) => ({ ...message, data })),
      )
      return after(encoded, (sent) => store.publish(stream, sent))
    },
  } satisfies Partial<EventStore>)
}

/** Gives the stored events the data that the caller passed, which costs less than decoding it again. */
function withPlainData(
  result: AppendResult,
  pairs: readonly { plain: EventDraft; encoded: EventDraft }[],
): AppendResult {
  if (!result.ok || pairs.every(({ plain, encoded }) => plain === encoded)) return result
  let next = 0
  // Events whose key was already in the stream are missing, and the others are in the order of the drafts.
  const events = result.events.map((event) => {
    while (next < pairs.length && !isOf(event, pairs[next]!.encoded)) next++
    const pair = pairs[next++]
    return !pair || pair.plain === pair.encoded ? event : { ...event, data: pair.plain.data }
  })
  return { ...result, events }
}

function isOf(event: StoredEvent, { type, key, stepId }: EventDraft): boolean {
  return event.type === type && event.key === key && event.stepId === stepId
}
