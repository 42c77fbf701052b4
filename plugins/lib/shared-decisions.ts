import { setTimeout as sleep } from 'node:timers/promises'
import type { EventDraft, PluginKernel, StoredEvent } from '../../kernel/index.ts'
import { createCompactedStream } from './compacted-stream.ts'

/** The decisions of operators about a named object, such as a schedule, for all instances. */
export interface SharedDecision<T> {
  /** The definition that operators have saved under this name. Absent if code declares it. */
  saved?: T
  /** True if no instance runs it, even if code declares it. */
  removed: boolean
  paused: boolean
  /** The latest manual starts, newest first. */
  starts: readonly StartByHand[]
}

interface StartByHand {
  /** The id of the job or run that was started. */
  id: string
  /** Milliseconds since the epoch. */
  at: number
}

export type OperatorDecision<T> =
  | { verb: 'saved'; saved: T }
  | { verb: 'removed' | 'paused' | 'resumed' }
  | ({ verb: 'started' } & StartByHand)

export interface SharedDecisions<T> {
  /** Returns the decisions by name. */
  current(): Promise<ReadonlyMap<string, SharedDecision<T>>>
  /**
   * Returns the decisions by name, as this instance knew them within the last 200 ms, so that a busy instance reads the store five
   * times a second. It knows its own decisions at once.
   */
  recent(): Promise<ReadonlyMap<string, SharedDecision<T>>>
  /**
   * Stores a decision.
   *
   * @param everywhere true to resolve only once `recent` of every instance knows it
   */
  decide(name: string, decision: OperatorDecision<T>, everywhere?: boolean): Promise<void>
}

/** How many manual starts are kept for each name. */
const STARTS = 5
/** How many names without a saved definition are kept. Without this limit, new names would make the stream grow forever. */
const MAX_UNSAVED = 1000
const COMPACT_EVERY = 100
/** How old, in milliseconds, a read may be that `recent` uses. */
const RECENT = 200
/** Milliseconds by which timers of two processes may differ within that time. */
const MARGIN = 50

/**
 * Keeps what operators decide in the stream `_<noun>s` of the event store. Instances read what is new when they need it, so that a
 * decision counts everywhere once it is stored, and no process has to poll.
 *
 * | event | data |
 * |---|---|
 * | `_<noun>.saved` | `name`, and the definition under the noun |
 * | `_<noun>.removed`, `.paused`, `.resumed` | `name` |
 * | `_<noun>.started` | `name`, `id`, `at` |
 * | `_<noun>.compacted` | nothing: the decisions of all names follow |
 * | `_<noun>.kept` | `name`, `decision` |
 */
export function createSharedDecisions<T>(kernel: PluginKernel, noun: string): SharedDecisions<T> {
  const prefix = `_${noun}.`
  const decisions = new Map<string, SharedDecision<T>>()
  const stream = createCompactedStream(kernel, {
    stream: `_${noun}s`,
    every: COMPACT_EVERY,
    apply(events) {
      for (const event of events) apply(event)
      evict()
    },
    state: (): EventDraft[] => [
      { type: `${prefix}compacted` },
      ...[...decisions].map(([name, decision]) => ({ type: `${prefix}kept`, data: { name, decision } })),
    ],
  })

  function apply({ type, data }: StoredEvent): void {
    const verb = type.slice(prefix.length)
    if (verb === 'compacted') return decisions.clear()
    const { name, ...facts } = data as { name: string } & Record<string, unknown>
    const { starts = [], ...before } = decisions.get(name) ?? { removed: false, paused: false }
    // The newest decision is the last entry of the map.
    decisions.delete(name)
    decisions.set(name, after())

    function after(): SharedDecision<T> {
      switch (verb) {
        case 'saved':
          return { ...before, starts, saved: facts[noun] as T, removed: false }
        case 'removed':
          return { starts: [], removed: true, paused: false }
        case 'paused':
          return { ...before, starts, paused: true }
        case 'resumed':
          return { ...before, starts, removed: false, paused: false }
        case 'started':
          return { ...before, starts: [facts as unknown as StartByHand, ...starts].slice(0, STARTS) }
        case 'kept':
          return facts.decision as SharedDecision<T>
        default:
          return { ...before, starts }
      }
    }
  }

  function evict(): void {
    const unsaved = [...decisions].filter(([, { saved }]) => saved === undefined)
    for (const [name] of unsaved.slice(0, Math.max(0, unsaved.length - MAX_UNSAVED))) decisions.delete(name)
  }

  /** When the newest read began, in milliseconds since this process started. */
  let readAt = -Infinity
  /** When this instance stored its newest decision. */
  let decidedAt = -Infinity
  // A store that instances do not share is in this process, where a read costs nothing.
  const isShared = (): boolean => kernel.port('events').capabilities.shared

  async function update(): Promise<void> {
    const began = performance.now()
    await stream.update()
    readAt = Math.max(readAt, began)
  }

  return {
    async recent() {
      const isRecent = isShared() && readAt >= decidedAt && performance.now() - readAt < RECENT
      if (!isRecent) await update()
      return decisions
    },
    async current() {
      await update()
      return decisions
    },
    async decide(name, { verb, ...facts }, everywhere = false) {
      const data = verb === 'saved' ? { name, [noun]: (facts as { saved: T }).saved } : { name, ...facts }
      await stream.append([{ type: prefix + verb, data }])
      decidedAt = performance.now()
      if (everywhere && isShared()) await sleep(RECENT + MARGIN)
    },
  }
}
