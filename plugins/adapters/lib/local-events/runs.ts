import type { RunFilter, RunInfo } from '../../../../kernel/index.ts'
import type { ChurnMap } from '../churn-map.ts'
import { tagsOf } from '../tags.ts'
import type { Stream } from './stream.ts'

/** The runs among the streams, in the order in which they began and by their tags. */
export function createRunIndex(streams: Pick<ChurnMap<string, Stream>, 'get' | 'values'>) {
  const tagged = new Map<string, Set<Stream>>()
  let begun = 0

  function untag(stream: Stream): void {
    for (const tag of stream.info?.tags ?? []) {
      const some = tagged.get(tag)
      some?.delete(stream)
      if (some?.size === 0) tagged.delete(tag)
    }
  }

  function tag(stream: Stream, tags: readonly string[]): void {
    untag(stream)
    stream.info!.tags = tagsOf(tags)
    for (const one of stream.info!.tags ?? []) tagged.set(one, (tagged.get(one) ?? new Set()).add(stream))
  }

  return {
    tag,
    /** Makes a stream a run. */
    begin(stream: Stream, info: RunInfo): RunInfo {
      stream.info = info
      stream.begun = ++begun
      if (info.tags) tag(stream, info.tags)
      return info
    },
    forget: untag,
    /** Newest first. */
    list({ limit = 100, after, ...filter }: RunFilter = {}): RunInfo[] {
      const last = after && placeOf(after, streams.get(after.runId))
      const found: Stream[] = []
      for (const stream of filter.tag === undefined ? streams.values() : (tagged.get(filter.tag) ?? [])) {
        if (!stream.info || !matches(stream.info, filter)) continue
        if (!last || isNewer(last, placeOf(stream.info, stream))) found.push(stream)
      }
      // Nearly in order: a stream is rarely older than its run.
      found.sort((a, b) => (isNewer(placeOf(b.info!, b), placeOf(a.info!, a)) ? 1 : -1))
      return found.slice(0, limit).map(({ info }) => info!)
    },
  }
}

type Place = Pick<RunInfo, 'startedAt'> & Pick<Stream, 'begun'>

/** Where a run stands; a run that is gone stands before all of its millisecond. */
function placeOf({ startedAt }: Pick<RunInfo, 'startedAt'>, stream: Stream | undefined): Place {
  return { startedAt, begun: stream?.info?.startedAt === startedAt ? stream.begun : Infinity }
}

function isNewer(a: Place, b: Place): boolean {
  return a.startedAt === b.startedAt ? a.begun > b.begun : a.startedAt > b.startedAt
}

function matches(
  info: RunInfo,
  { hideInternal, startedBefore = Infinity, status, flow, name, queue }: RunFilter,
): boolean {
  if (hideInternal && info.queue?.startsWith('_')) return false
  if (info.startedAt >= startedBefore) return false
  return (
    (status === undefined || info.status === status) &&
    (flow === undefined || info.flow === flow) &&
    (name === undefined || info.name === name) &&
    (queue === undefined || info.queue === queue)
  )
}
