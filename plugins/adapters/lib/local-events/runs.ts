import type { RunFilter, RunInfo } from '../../../../kernel/index.ts'
import type { ChurnMap } from '../churn-map.ts'
import { tagsOf } from '../tags.ts'
import type { Stream } from './stream.ts'

/** Creates the index of runs: it lists them by start time and by tag. */
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
    /** Turns a stream into a run. */
    begin(stream: Stream, info: RunInfo): RunInfo {
      stream.info = info
      stream.begun = ++begun
      if (info.tags) tag(stream, info.tags)
      return info
    },
    forget: untag,
    /** Lists runs, newest first. */
    list({ limit = 100, after, ...filter }: RunFilter = {}): RunInfo[] {
      const last = after && positionOf(after, streams.get(after.runId))
      const found: Stream[] = []
      for (const stream of filter.tag === undefined ? streams.values() : (tagged.get(filter.tag) ?? [])) {
        const run = stream.shownRun
        if (!run || !matches(run, filter)) continue
        if (!last || isNewer(last, positionOf(run, stream))) found.push(stream)
      }
      // The streams are almost in order, because a stream is rarely older than its run.
      found.sort((a, b) => (isNewer(positionOf(b.info!, b), positionOf(a.info!, a)) ? 1 : -1))
      return found.slice(0, limit).map(({ shownRun }) => shownRun!)
    },
  }
}

type Position = Pick<RunInfo, 'startedAt'> & Pick<Stream, 'begun'>

/** Returns the sort position of a run. A deleted run sorts before all other runs of its millisecond. */
function positionOf({ startedAt }: Pick<RunInfo, 'startedAt'>, stream: Stream | undefined): Position {
  return { startedAt, begun: stream?.info?.startedAt === startedAt ? stream.begun : Infinity }
}

function isNewer(a: Position, b: Position): boolean {
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
