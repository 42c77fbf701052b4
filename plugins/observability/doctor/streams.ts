import { isQueueError, type Diagnosis, type Kernel, type MaybePromise } from '../../../kernel/index.ts'

/** Streams of a plugin that do not grow without an end. */
export interface OwnStreams {
  /** Returns their names. Called at each diagnosis, so it may name streams that have come since. */
  names: () => MaybePromise<readonly string[]>
  /** How many events each keeps while everything works. Default 12,500. */
  keep?: number
}

const KEEP = 12_500
/** A stream with fewer events is never reported, because it costs nothing. */
const FEW = 1000
/** How many streams are read at once. */
const AT_ONCE = 50

interface Size {
  name: string
  kept: number
  /** How many events it may have: twice what it keeps, because some plugins trim now and then. */
  most: number
}

/** Finds streams of plugins that grow without limit. */
export async function checkStreams(kernel: Kernel, declared: readonly OwnStreams[]): Promise<Diagnosis[]> {
  const named = await Promise.all(
    declared.map(async ({ names, keep = KEEP }) =>
      (await names()).map((name) => ({ name, most: Math.max(FEW, 2 * keep) })),
    ),
  )
  const all = named.flat()
  const sizes: Size[] = []
  for (let from = 0; from < all.length; from += AT_ONCE) {
    const some = all.slice(from, from + AT_ONCE)
    sizes.push(...(await Promise.all(some.map(async (one) => ({ ...one, kept: await keptIn(kernel, one.name) })))))
  }
  const [fullest] = sizes.toSorted((a, b) => b.kept / b.most - a.kept / a.most)
  if (!fullest) return []
  const { name, kept, most } = fullest
  if (kept <= most) {
    const message = `None of the ${sizes.length} streams of plugins grows. The fullest is "${name}", with ${kept} events.`
    return [{ check: 'streams', level: 'ok', message }]
  }
  const message = `Stream "${name}" of a plugin has ${kept} events. It should have ${most} at most.`
  const hint =
    'Old events are not removed. Check whether a plugin reports that it cannot write. Otherwise, report a bug.'
  return [{ check: 'streams', level: 'warning', message, hint }]
}

async function keptIn(kernel: Kernel, stream: string): Promise<number> {
  const events = kernel.port('events')
  const head = await events.head(stream)
  if (head === 0) return 0
  try {
    await events.read(stream, { limit: 1 })
    return head
  } catch (error) {
    if (!isQueueError(error, 'EVENTS_TRIMMED')) throw error
    return head - (error.details!.trimmed as number)
  }
}
