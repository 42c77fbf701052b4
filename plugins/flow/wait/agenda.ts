import { createHash } from 'node:crypto'
import { type Kernel, type StreamHead } from '../../../kernel/index.ts'

export const WAIT_QUEUE = '_wait'
export const TIDY_WORKER = '_wait/tidy'

/** The number of streams for the entries of one span of time, so that few writers share a stream. */
const SHARDS = 8
/** How many entries are read at once, and how many of them are checked at once. */
const PAGE = 500
const AT_ONCE = 50
/** The number of agenda streams whose job a process remembers to exist. */
const KNOWN = 1000

/** A stream of waits, a log of events, or both, to be checked for expired content. */
export interface AgendaEntry {
  /** The stream of waits. */
  stream?: string
  /** The log of events. */
  log?: string
}

/** The result of a check: a log to remove, and when to check again. */
export interface AgendaResult {
  forget?: StreamHead
  /** Milliseconds until the next check. */
  again?: number
}

/**
 * Schedules the removal of expired waits and events. The entries of one span of time are in a few streams. Each stream
 * has one job, which processes it in pages and then removes it. An event therefore costs one entry and no separate job.
 *
 * @param keep milliseconds that waits and events are kept
 */
export function createAgenda(kernel: Kernel, keep: number, check: (entry: AgendaEntry) => Promise<AgendaResult>) {
  const span = Math.max(1000, Math.floor(keep / 8))
  /** Agenda streams whose job exists. */
  const known = new Set<string>()

  /** @param delay the minimum number of milliseconds until the check */
  async function enter(entry: AgendaEntry, delay: number, once = true): Promise<void> {
    const due = Math.floor((kernel.clock.now() + delay) / span) + 1
    const hash = digest(`${entry.stream} ${entry.log}`)
    const agenda = `_wait.due:${due}:${Number.parseInt(hash.slice(0, 4), 16) % SHARDS}`
    await kernel.emit(agenda, [{ type: 'wait.due', data: entry, ...(once && { key: hash }) }])
    if (known.has(agenda)) return
    await kernel.enqueue(TIDY_WORKER, { agenda }, { id: digest(agenda), delay: new Date(due * span) })
    if (known.size >= KNOWN) known.clear()
    known.add(agenda)
  }

  async function checkAll(entries: readonly AgendaEntry[]): Promise<void> {
    for (let from = 0; from < entries.length; from += AT_ONCE) {
      const some = entries.slice(from, from + AT_ONCE)
      const results = await Promise.all(some.map(check))
      await kernel.port('events').forget(results.flatMap(({ forget }) => forget ?? []))
      await Promise.all(results.map(async ({ again }, index) => again && enter(some[index]!, again)))
    }
  }

  return {
    /** Schedules a check for the moment when the current content of the streams has expired. */
    enter: (entry: AgendaEntry, once?: boolean) => enter(entry, keep, once),
    /** Milliseconds until the next check of a log that is in use. */
    soon: span,
    /** Processes an agenda stream. It may safely run again. */
    async work(agenda: string): Promise<void> {
      const events = kernel.port('events')
      let after = 0
      for (;;) {
        const entries = await events.read(agenda, { after, limit: PAGE })
        await checkAll(entries.map(({ data }) => data as AgendaEntry))
        after = entries.at(-1)?.seq ?? after
        if (entries.length === PAGE) continue
        // A stream that has grown in the meantime is kept. A stream that was removed and has new entries is read from its start.
        if ((await events.forget([{ stream: agenda, seq: after }])) > 0) after = 0
        if ((await events.head(agenda)) === 0) return
      }
    },
  }
}
export type Agenda = ReturnType<typeof createAgenda>

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32)
}
