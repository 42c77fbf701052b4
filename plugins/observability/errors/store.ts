import type { PluginKernel } from '../../../kernel/index.ts'
import { readKept } from '../../lib/bounded-stream.ts'
import { createCompactedStream } from '../../lib/compacted-stream.ts'
import { applyErrorEvents, evict, type ErrorGroup, type ErrorStatus, type Groups, type SeenGroup } from './groups.ts'

export const STREAM = '_errors'
/** The number of events after which all groups are stored as one event and the earlier events are dropped. */
const COMPACT_EVERY = 200
/** The maximum size of an event: in bytes, and as a share of `payloadLimit`. */
const [MAX_BYTES, SHARE] = [768 * 1024, 0.9]
/** How many of the newest events are searched for a report whose append may have failed. */
const RECENT = 500

/** Keeps error groups in a stream to which all processes append. */
export function createErrorStore(kernel: PluginKernel) {
  const groups: Groups = new Map()
  const stream = createCompactedStream(kernel, {
    stream: STREAM,
    every: COMPACT_EVERY,
    apply: (events) => applyErrorEvents(groups, events),
    state: () => [{ type: 'errors.state', data: { groups: fitting() } }],
  })

  function limit(): number {
    return Math.min(MAX_BYTES, kernel.config.payloadLimit * SHARE)
  }

  /** Returns as many groups as fit into an event. Drops the least important groups. */
  function fitting(): ErrorGroup[] {
    const kept: Groups = new Map(groups)
    const size = (): number => Buffer.byteLength(JSON.stringify([...kept.values()]))
    while (kept.size > 0 && size() > limit()) evict(kept, Math.floor(kept.size * 0.9))
    return [...kept.values()]
  }

  return {
    /** Returns the current groups. */
    async all(): Promise<ErrorGroup[]> {
      await stream.update()
      return [...groups.values()].map((group) => ({ ...group }))
    },
    async get(fingerprint: string): Promise<ErrorGroup | undefined> {
      await stream.update()
      const group = groups.get(fingerprint)
      return group && { ...group }
    },
    /** Appends the failures that this process has seen, in several events if they do not fit into one. */
    async append(id: string, seen: readonly SeenGroup[]): Promise<void> {
      const parts: SeenGroup[][] = [[]]
      let left = limit()
      for (const group of seen) {
        const bytes = Buffer.byteLength(JSON.stringify(group)) + 1
        if (bytes > left && parts.at(-1)!.length > 0) {
          parts.push([])
          left = limit()
        }
        parts.at(-1)!.push(group)
        left -= bytes
      }
      const drafts = parts.map((part) => ({ type: 'errors.seen', data: { id, groups: part } }))
      await stream.append(drafts)
    },
    /** Returns whether a report is stored. Used if its append may have failed. */
    async isStored(id: string): Promise<boolean> {
      const head = await kernel.port('events').head(STREAM)
      const after = Math.max(0, head - RECENT)
      const newest = await readKept(kernel, STREAM, { after, types: ['errors.seen'] })
      return newest.some(({ data }) => (data as { id: string }).id === id)
    },
    async setStatus(fingerprint: string, status: ErrorStatus): Promise<void> {
      await stream.append([{ type: 'errors.status', data: { fingerprint, status } }])
    },
  }
}
export type ErrorStore = ReturnType<typeof createErrorStore>
