import {
  checkCount,
  checkMoment,
  definePlugin,
  type EventDraft,
  type PluginKernel,
  type StoredEvent,
} from '../../../kernel/index.ts'
import { checkFunction, checkOptions, checkString, type OptionChecks } from '../../lib/check-options.ts'
import { readKept, trimStream } from '../../lib/bounded-stream.ts'
import { watchOutage } from '../../lib/outage.ts'

/** An action that a client took over HTTP. */
export interface AuditEntry {
  /** When it ended, in milliseconds since the epoch. */
  at: number
  /** Who took the action: the name from `http.authorize`, or the token. Absent if neither is known. */
  actor?: string
  /** The authorized action, such as `jobs.retry`. */
  action: string
  /** The route, such as `retryJob`. */
  route: string
  /** The subject of the action: the queue, job, run, flow and so on. */
  subject: Readonly<Record<string, string>>
  /** `done`, or the code of the error that refused the action. */
  outcome: string
  /** The HTTP status of the response. */
  status: number
}

export interface AuditQuery extends Partial<Pick<AuditEntry, 'actor' | 'action'>> {
  /** Only entries before this moment, in milliseconds since the epoch: the `at` of the last entry of the previous page. */
  before?: number
  /** Default 100. */
  limit?: number
  /** Omits entries for which it returns false. */
  mayRead?: (entry: AuditEntry) => boolean | Promise<boolean>
}

const CHECKS: OptionChecks<AuditQuery> = {
  actor: checkString,
  action: checkString,
  before: checkMoment,
  limit: checkCount,
  mayRead: checkFunction,
}

declare module 'nuxt-queue/kernel' {
  interface Kernel {
    /**
     * Returns the actions that were taken over HTTP in all processes, newest first.
     *
     * @throws QueueError `OPTION_INVALID`
     * @example
     * for (const { at, actor, action, subject } of await kernel.audit()) console.log(new Date(at), actor, action, subject)
     */
    audit(query?: AuditQuery): Promise<AuditEntry[]>
  }
  interface PluginKernel {
    /** Records an action. Resolves when the action is stored or reported as lost. Never rejects. */
    recordAction(entry: Omit<AuditEntry, 'at'>): Promise<void>
  }
}

/**
 * The actions of operators, and the requests of applications. They are separate, so that a busy application does not push out the actions
 * of operators.
 */
const STREAMS = { operators: '_audit', applications: '_audit.sent' } as const
const SENDING = new Set(['jobs.enqueue', 'flows.start', 'events.send', 'triggers.fire'])
/** How many entries each stream keeps. */
const KEEP = 10_000
const PAGE = 500
/** The maximum number of entries in one append. */
const BATCH = 100

/** Records who did what over HTTP, in all processes. */
export default definePlugin({
  name: 'audit',
  requires: ['events'],
  setup(kernel) {
    kernel.declareStreams?.({ names: () => Object.values(STREAMS), keep: KEEP })
    const writers = new Map(Object.values(STREAMS).map((stream) => [stream, createWriter(kernel, stream)]))
    kernel.share({
      recordAction: (entry) =>
        writers.get(SENDING.has(entry.action) ? STREAMS.applications : STREAMS.operators)!({
          type: 'audit.recorded',
          data: entry,
        }),
    })
    kernel.extend({
      async audit(options = {}) {
        const { limit = 100, ...query } = checkOptions('audit()', options, CHECKS)
        const found = await Promise.all(
          Object.values(STREAMS).map((stream) => readNewest(kernel, stream, { ...query, limit })),
        )
        return found
          .flat()
          .toSorted((a, b) => b.at - a.at)
          .slice(0, limit)
      },
    })
  },
})

/** Returns a function that appends entries. Entries that arrive during an append share the next one. */
function createWriter(kernel: PluginKernel, stream: string): (draft: EventDraft) => Promise<void> {
  const outage = watchOutage({
    away: (error) => kernel.reporter.error('Actions over HTTP cannot be recorded for the audit. They are lost.', error),
    back: () => kernel.reporter.warn('Actions over HTTP are recorded for the audit again.'),
  })
  let waiting: EventDraft[] = []
  let writing: Promise<void> = Promise.resolve()

  async function write(): Promise<void> {
    const drafts = waiting.splice(0, BATCH)
    if (drafts.length === 0) return
    try {
      const { head } = await kernel.emit(stream, drafts)
      const grown = Math.floor(head / BATCH) > Math.floor((head - drafts.length) / BATCH)
      if (head > KEEP && grown) await trimStream(kernel, stream, head - KEEP)
      outage.worked()
    } catch (error) {
      outage.failed(error)
    }
    if (waiting.length > 0) await write()
  }

  return (draft) => {
    waiting.push(draft)
    return (writing = writing.then(write))
  }
}

async function readNewest(
  kernel: PluginKernel,
  stream: string,
  { limit, before = Infinity, actor, action, mayRead }: AuditQuery & { limit: number },
): Promise<AuditEntry[]> {
  const found: AuditEntry[] = []
  for (let until = await kernel.port('events').head(stream); until > 0 && found.length < limit;) {
    const page = await readKept(kernel, stream, { after: Math.max(0, until - PAGE), until, reverse: true })
    for (const entry of page.map(entryOf)) {
      const wanted = (actor ?? entry.actor) === entry.actor && (action ?? entry.action) === entry.action
      if (entry.at < before && wanted && (!mayRead || (await mayRead(entry)))) found.push(entry)
      if (found.length >= limit) break
    }
    if (page.length === 0) break
    until = page.at(-1)!.seq - 1
  }
  return found
}

function entryOf({ ts, data }: StoredEvent): AuditEntry {
  return { at: ts, ...(data as Omit<AuditEntry, 'at'>) }
}
