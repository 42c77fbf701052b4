import type { RunOutcome, StoredEvent, StreamMessage } from '../../../../kernel/index.ts'
import { toPlainJson } from '../../lib/plain-json.ts'
import type { Problem } from '../problems.ts'

/** Encodes a stream for a transport. */
export interface Frames<Frame extends string | Buffer = string | Buffer> {
  readonly first?: Frame
  readonly ping: Frame
  /** Encodes a batch of events in as few frames as the format allows. @param cursor of the batch, for a stream of all runs */
  events(events: readonly StoredEvent[], cursor?: string): readonly Frame[]
  /** Encodes a batch of events of a run, whose position is their seq. */
  numbered(events: readonly StoredEvent[]): readonly Frame[]
  /** Sends the current position before the first event, so that a client can continue from there after a reconnection. */
  place(seq: number): Frame
  ephemeral(message: StreamMessage, runId: string): Frame
  end(status: RunOutcome): Frame
  failure(problem: Problem): Frame
}

/**
 * Caches encoded frames for one tick of the event loop. All clients of a stream receive an event in the same tick, so
 * they share the frames, and the cache stays small.
 */
function perTurn<Key extends object, Value>(make: (key: Key, extra?: string) => Value) {
  const made = new Map<Key, Value>()
  return (key: Key, extra?: string): Value => {
    const there = made.get(key)
    if (there !== undefined) return there
    if (made.size === 0) setImmediate(() => made.clear())
    const value = make(key, extra)
    made.set(key, value)
    return value
  }
}

export function createSseFrames(): Frames<Buffer> {
  const data = perTurn((event: StoredEvent) => `data: ${toPlainJson(event)}\n\n`)
  const numbered = perTurn((events: readonly StoredEvent[]) => [
    Buffer.from(events.map((event) => `id: ${event.seq}\n${data(event)}`).join('')),
  ])
  // If several events share a cursor, the last one carries it. A client that disconnects earlier receives them again.
  const placed = perTurn((events: readonly StoredEvent[], cursor?: string) => [
    Buffer.from(
      events
        .map(
          (event, index) =>
            (cursor !== undefined && index === events.length - 1 ? `id: ${cursor}\n` : '') + data(event),
        )
        .join(''),
    ),
  ])
  const ephemeral = perTurn((message: StreamMessage, runId?: string) =>
    Buffer.from(`event: ephemeral\ndata: ${toPlainJson({ runId, type: message.type, data: message.data })}\n\n`),
  )
  return {
    first: Buffer.from('retry: 1000\n: nuxt-queue\n\n'),
    ping: Buffer.from(': ping\n\n'),
    events: placed,
    numbered,
    place: (seq) => Buffer.from(`id: ${seq}\n\n`),
    ephemeral,
    end: (status) => Buffer.from(`event: end\ndata: ${JSON.stringify({ status })}\n\n`),
    failure: (problem) => Buffer.from(`event: failure\ndata: ${JSON.stringify(problem)}\n\n`),
  }
}

export function createSocketFrames(): Frames<string> {
  const json = perTurn((event: StoredEvent) => toPlainJson(event))
  const frame = (event: StoredEvent, id: string | number | undefined): string =>
    `{"kind":"event",${id === undefined ? '' : `"id":${JSON.stringify(id)},`}"event":${json(event)}}`
  return {
    ping: '{"kind":"ping"}',
    numbered: perTurn((events: readonly StoredEvent[]) => events.map((event) => frame(event, event.seq))),
    events: perTurn((events: readonly StoredEvent[], cursor?: string) =>
      events.map((event, index) => frame(event, index === events.length - 1 ? cursor : undefined)),
    ),
    place: (seq) => `{"kind":"cursor","id":${seq}}`,
    ephemeral: perTurn((message: StreamMessage, runId?: string) =>
      toPlainJson({ kind: 'ephemeral', runId, type: message.type, data: message.data }),
    ),
    end: (status) => JSON.stringify({ kind: 'end', status }),
    failure: (problem) => JSON.stringify({ kind: 'failure', problem }),
  }
}
