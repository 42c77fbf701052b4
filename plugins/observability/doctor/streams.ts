import { isQueueError, type Diagnosis, type Kernel } from '../../../kernel/index.ts'

/** The streams of plugins that have one name. */
const STREAMS = [
  ...['registry', '_audit', '_errors', '_bulk', '_schedules', '_triggers', '_alerts', '_alerts.noticed'],
  ...['_stats.10s', '_stats.1m', '_stats.1h'],
]
/** How many events the largest of them has at most while everything works: twice what statistics keep. */
const MOST_EVENTS = 25_000

/** Finds streams of plugins that grow without an end. */
export async function checkStreams(kernel: Kernel): Promise<Diagnosis[]> {
  const own = [
    ...kernel.triggers().map(({ name }) => `trigger:${name}`),
    ...kernel.schedules().map(({ name }) => `schedule:${name}`),
  ]
  const sizes = await Promise.all(
    [...STREAMS, ...own].map(async (name) => ({ name, kept: await keptIn(kernel, name) })),
  )
  const [largest] = sizes.toSorted((a, b) => b.kept - a.kept)
  const { name, kept } = largest!
  const message = `The largest stream of plugins is "${name}", with ${kept} events.`
  if (kept <= MOST_EVENTS) return [{ check: 'streams', level: 'ok', message }]
  const hint =
    'Old events are not removed. See whether a plugin reports that it cannot write, and report a bug otherwise.'
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
