import { isQueueError, type EventStore, type StoredEvent } from '../../../../kernel/index.ts'
import type { StreamPart } from '../../../adapters/lib/store-copy.ts'
import { STORE_STREAM } from '../../../lib/store-mark.ts'
import { checksumOf, createStreamChecksum, EVENTS_PER_READ, sortSnapshots } from './checksum.ts'
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
    const equal = await copyTogether(some, source, target)
    incomplete.push(...some.filter((_name, index) => !equal[index]))
  }
  return incomplete
}

/** Copies streams with one write for the parts of all of them. Returns for each stream whether the target has the same. */
async function copyTogether(
  names: readonly string[],
  source: CopyableStore,
  target: ChangeableStore,
): Promise<boolean[]> {
  const expected = new Map<string, Copied>()
  for (let open = names.map((name) => ({ name, parts: partsOf(name, source, target) })); open.length > 0;) {
    const steps = await Promise.all(open.map(({ parts }) => parts.next()))
    await target.events.write(steps.flatMap((step) => (step.done ? [] : [step.value])))
    for (const [index, step] of steps.entries()) if (step.done) expected.set(open[index]!.name, step.value)
    open = open.filter((_one, index) => !steps[index]!.done)
  }
  return Promise.all(
    [...expected].map(async ([name, copy]) => {
      if (copy === 'absent') return true
      if (copy === 'changed') return false
      const [known, stored] = await Promise.all([
        copy.checksum ?? checksumOf(source.events, name),
        checksumOf(target.events, name),
      ])
      return known === stored
    }),
  )
}

/** The checksum of a stream, which is absent unless the whole stream was read, or why nothing was copied. */
type Copied = { checksum: string | undefined } | 'absent' | 'changed'

/** Yields the parts of a stream that the target lacks. The previous part has been written when the next one is asked for. */
async function* partsOf(
  stream: string,
  { events }: CopyableStore,
  target: ChangeableStore,
): AsyncGenerator<StreamPart, Copied> {
  const [end, stored] = await Promise.all([events.end(stream), target.events.end(stream)])
  if (!end) return 'absent'
  const { head, trimmed } = end
  // The events between were removed from the source. A run keeps all of its events until it is removed as a whole.
  const hasGap = stored !== undefined && (stored.head < trimmed || stored.head > head)
  if (hasGap) await target.port.forget([{ stream, seq: stored.head }])
  const known = hasGap ? undefined : stored
  const began = known?.trimmed ?? trimmed
  const checksum = known ? undefined : createStreamChecksum()
  let page: readonly StoredEvent[] = []
  try {
    for (let after = known?.head ?? trimmed; after < head; after = page.at(-1)!.seq) {
      if (page.length > 0) yield { stream, trimmed: began, events: page }
      page = (await events.events(stream, after, EVENTS_PER_READ)).filter(({ seq }) => seq <= head)
      // The stream was removed.
      if (page.length === 0) return 'absent'
      for (const event of page) checksum?.event(event)
    }
  } catch (error) {
    // The stream was trimmed.
    if (isQueueError(error, 'EVENTS_TRIMMED')) return 'changed'
    throw error
  }
  const snapshots = sortSnapshots(await events.snapshots(stream))
  for (const snapshot of snapshots) checksum?.snapshot(snapshot)
  if (began < trimmed) {
    yield { stream, trimmed: began, events: page, snapshots }
    await target.port.trim(stream, trimmed)
    yield { stream, trimmed, events: [], end }
  } else yield { stream, trimmed, events: page, snapshots, end }
  return { checksum: checksum?.end(end) }
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
