import { isQueueError, type EventStore } from '../../../../kernel/index.ts'
import type { StreamPart } from '../../../adapters/lib/store-copy.ts'
import { STORE_STREAM } from '../../../lib/store-mark.ts'
import { checksumOf, EVENTS_PER_READ } from './checksum.ts'
import type { CopyableStore } from './export.ts'
import { differs } from './import.ts'

/** A store whose streams can also be shortened. */
export interface ChangeableStore extends CopyableStore {
  /** The port `events`. */
  port: Pick<EventStore, 'trim' | 'forget'>
}

/** How many streams are copied at the same time. */
const AT_ONCE = 32

/**
 * Copies what the target lacks of these streams, and compares each stream. Other processes may write to the source meanwhile.
 *
 * @returns the streams that have changed while they were copied, and are not complete
 */
export async function copyStreams(
  names: readonly string[],
  source: CopyableStore,
  target: ChangeableStore,
): Promise<string[]> {
  const incomplete: string[] = []
  // The mark belongs to the source.
  const copied = names.filter((name) => name !== STORE_STREAM)
  for (let from = 0; from < copied.length; from += AT_ONCE) {
    const some = copied.slice(from, from + AT_ONCE)
    for (let open = some.map((name) => partsOf(name, source, target)); open.length > 0;) {
      const steps = await Promise.all(open.map((parts) => parts.next()))
      await target.events.write(steps.flatMap(({ value }) => value ?? []))
      open = open.filter((_parts, index) => !steps[index]!.done)
    }
    const equal = await Promise.all(some.map((name) => isEqual(name, source, target)))
    incomplete.push(...some.filter((_name, index) => !equal[index]))
  }
  return incomplete
}

/** Yields the parts of a stream that the target lacks. The previous part has been written when the next one is asked for. */
async function* partsOf(
  stream: string,
  { events }: CopyableStore,
  target: ChangeableStore,
): AsyncGenerator<StreamPart, void> {
  const [end, stored] = await Promise.all([events.end(stream), target.events.end(stream)])
  if (!end) return
  const { head, trimmed } = end
  // The events between were removed from the source. A run keeps all of its events until it is removed as a whole.
  const hasGap = stored !== undefined && (stored.head < trimmed || stored.head > head)
  if (hasGap) await target.port.forget([{ stream, seq: stored.head }])
  const known = hasGap ? undefined : stored
  const began = known?.trimmed ?? trimmed
  try {
    for (let after = known?.head ?? trimmed; after < head;) {
      const page = (await events.events(stream, after, EVENTS_PER_READ)).filter(({ seq }) => seq <= head)
      // The stream was removed.
      if (page.length === 0) return
      yield { stream, trimmed: began, events: page }
      after = page.at(-1)!.seq
    }
  } catch (error) {
    // The stream was trimmed. The comparison finds that it is incomplete.
    if (isQueueError(error, 'EVENTS_TRIMMED')) return
    throw error
  }
  yield { stream, trimmed: began, events: [], snapshots: await events.snapshots(stream) }
  if (began < trimmed) await target.port.trim(stream, trimmed)
  yield { stream, trimmed, events: [], end }
}

async function isEqual(stream: string, source: CopyableStore, target: CopyableStore): Promise<boolean> {
  const [expected, stored] = await Promise.all([source, target].map(({ events }) => checksumOf(events, stream)))
  return expected === undefined || expected === stored
}

/** Copies streams that no process changes any more. @throws QueueError `STORE_DIFFERS` */
export async function copyQuietStreams(
  names: readonly string[],
  source: CopyableStore,
  target: ChangeableStore,
): Promise<void> {
  const [stream] = await copyStreams(names, source, target)
  if (stream === undefined) return
  const [expected, stored] = await Promise.all([source, target].map(({ events }) => checksumOf(events, stream)))
  throw differs(`stream "${stream}"`, String(expected), stored)
}
