import { createHash } from 'node:crypto'
import { type Kernel, type StreamHead } from '../../../kernel/index.ts'

export const WAIT_QUEUE = '_wait'
export const TIDY = '_wait/tidy'

/** Into how many streams what is due in one span of time is divided, so that few writers meet in one. */
const SHARDS = 8
/** How many entries are read at once, and how many of them are seen to at once. */
const PAGE = 500
const AT_ONCE = 50
/** How many streams of entries a process knows to have their job. */
const KNOWN = 1000

/** Streams of waits and events that are to be looked at once they may be too old. */
export interface AgendaEntry {
  /** Of waits. */
  stream?: string
  /** Of events. */
  log?: string
}

/** What a look at an entry comes to: a log to forget, and when to look again. */
export interface AgendaResult {
  forget?: StreamHead
  /** In milliseconds. */
  again?: number
}

/**
 * What is due in a span of time lies in a few streams, each with one job that goes through it in pages and forgets it
 * whole: whatever is sent costs an entry, and no job of its own.
 *
 * @param keep milliseconds
 */
export function createAgenda(kernel: Kernel, keep: number, look: (entry: AgendaEntry) => Promise<AgendaResult>) {
  const span = Math.max(1000, Math.floor(keep / 8))
  /** Streams of entries that have their job. */
  const known = new Set<string>()

  /** @param delay milliseconds from now, at least */
  async function enter(entry: AgendaEntry, delay: number, once = true): Promise<void> {
    const due = Math.floor((kernel.clock.now() + delay) / span) + 1
    const hash = digest(`${entry.stream} ${entry.log}`)
    const agenda = `_wait.due:${due}:${Number.parseInt(hash.slice(0, 4), 16) % SHARDS}`
    await kernel.emit(agenda, [{ type: 'wait.due', data: entry, ...(once && { key: hash }) }])
    if (known.has(agenda)) return
    await kernel.enqueue(TIDY, { agenda }, { id: digest(agenda), delay: new Date(due * span) })
    if (known.size >= KNOWN) known.clear()
    known.add(agenda)
  }

  async function seeTo(entries: readonly AgendaEntry[]): Promise<void> {
    for (let from = 0; from < entries.length; from += AT_ONCE) {
      const some = entries.slice(from, from + AT_ONCE)
      const results = await Promise.all(some.map(look))
      await kernel.port('events').forget(results.flatMap(({ forget }) => forget ?? []))
      await Promise.all(results.map(async ({ again }, index) => again && enter(some[index]!, again)))
    }
  }

  return {
    /** Enters streams that are to be looked at when what is in them now is too old. */
    enter: (entry: AgendaEntry, once?: boolean) => enter(entry, keep, once),
    /** How soon something is looked at again that is in use. */
    soon: span,
    /** Goes through a stream of entries. May be done again. */
    async work(agenda: string): Promise<void> {
      const events = kernel.port('events')
      let after = 0
      for (;;) {
        const entries = await events.read(agenda, { after, limit: PAGE })
        await seeTo(entries.map(({ data }) => data as AgendaEntry))
        after = entries.at(-1)?.seq ?? after
        if (entries.length === PAGE) continue
        // One that has grown meanwhile stays, and one that was begun anew is read from its beginning.
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
