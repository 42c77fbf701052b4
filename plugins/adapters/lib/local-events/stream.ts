import type {
  AppendOptions,
  AppendRefusal,
  EventDraft,
  ReadOptions,
  RunInfo,
  Snapshot,
  StoredEvent,
} from '../../../../kernel/index.ts'
import type { EndedNode } from '../ended.ts'
import { cloneValue } from '../../../lib/value.ts'

/** Up to this many events, a linear search is faster than a map of keys. */
const SEARCH_LIMIT = 8

/** What readers see of a stream. */
export interface StreamView {
  head: number
  run: RunInfo | undefined
}

/** The history of one run: its events, and the state that decides whether the next append is accepted. */
export class Stream {
  readonly name: string
  /** The events that were not trimmed. The event with `seq` has the index `seq - trimmed - 1`. */
  readonly events: StoredEvent[] = []
  trimmed = 0
  /** What readers see while a crash could still lose newer changes. */
  #shown: StreamView | undefined
  /** The number of appends that nobody sees yet. */
  #hidden = 0
  info: RunInfo | undefined
  /** The number of the run, in the order in which runs began. */
  begun = 0
  snapshots: Snapshot[] | undefined
  /** Its node among the ended runs. */
  ended: EndedNode<Stream> | undefined
  /** The newest `ts` of an event. It is kept after the event was trimmed. */
  #ts = 0
  #keys: Map<string, number> | undefined
  #trimmedKeys: Set<string> | undefined
  /** The fence of the first job. Most runs have only one job, so most streams need no map. */
  #job: string | undefined
  #token = 0
  #otherTokens: Map<string, number> | undefined

  constructor(name: string) {
    this.name = name
  }

  get head(): number {
    return this.trimmed + this.events.length
  }

  /** The `seq` of the newest event that readers and followers see. */
  get shownHead(): number {
    return this.#shown?.head ?? this.head
  }

  /** The run that readers see. */
  get shownRun(): RunInfo | undefined {
    return this.#shown ? this.#shown.run : this.info
  }

  /** Returns what readers would see if nothing was hidden. */
  view(): StreamView {
    return { head: this.head, run: this.info && { ...this.info } }
  }

  /**
   * Hides the last append from readers. Returns the function that shows it, which must be called in the order of the appends.
   *
   * @param before the view before the append
   */
  hide(before: StreamView): () => void {
    this.#shown ??= before
    this.#hidden++
    const view = this.view()
    return () => void (this.#shown = --this.#hidden === 0 ? undefined : view)
  }

  /** Returns the reason to reject an append, or `undefined`. */
  refusal(options: AppendOptions): AppendRefusal['reason'] | undefined {
    const { unless, fence, expectedSeq, reopen } = options
    if (unless !== undefined && this.hasKey(unless)) return 'unless'
    if (this.info !== undefined && this.info.status !== 'running' && !reopen) return 'ended'
    if (fence && fence.token < this.#tokenOf(fence.job)) return 'fence'
    return expectedSeq !== undefined && expectedSeq !== this.head ? 'expectedSeq' : undefined
  }

  /**
   * Appends the drafts whose keys are new, and returns the stored events.
   *
   * @param data a copy of the data of each draft
   */
  push(drafts: readonly EventDraft[], data: readonly unknown[], now: number): StoredEvent[] {
    const stored: StoredEvent[] = []
    const ts = (this.#ts = Math.max(now, this.#ts))
    for (let index = 0; index < drafts.length; index++) {
      const { type, key, flow, step, stepId, attempt } = drafts[index]!
      if (key !== undefined && this.hasKey(key)) continue
      const seq = this.head + 1
      const runId = this.name
      const id = `${runId}:${seq}`
      const event = { seq, id, ts, type, runId, flow, step, stepId, attempt, data: data[index], key }
      this.events.push(event)
      if (key !== undefined) this.#keys?.set(key, seq)
      stored.push(event)
    }
    return stored
  }

  raiseFence({ job, token }: NonNullable<AppendOptions['fence']>): void {
    this.#job ??= job
    if (this.#job === job) this.#token = Math.max(this.#token, token)
    else (this.#otherTokens ??= new Map()).set(job, Math.max(this.#tokenOf(job), token))
  }

  /** Inserts a snapshot in the order of `seq`. Returns false if the stream has it already. */
  keep(snapshot: Snapshot): boolean {
    const snapshots = (this.snapshots ??= [])
    const before = snapshots.findLastIndex(({ seq }) => seq <= snapshot.seq)
    const existing = snapshots[before]
    if (existing?.reducer === snapshot.reducer && existing.seq === snapshot.seq) return false
    snapshots.splice(before + 1, 0, snapshot)
    return true
  }

  /** The state, apart from the events, that decides whether the next append is accepted. A durable store records it. */
  get memory(): { trimmed: number; keys: string[]; fences: [job: string, token: number][]; ts: number } {
    const first: [string, number][] = this.#job === undefined ? [] : [[this.#job, this.#token]]
    const fences = [...first, ...(this.#otherTokens ?? [])]
    return { trimmed: this.trimmed, keys: [...(this.#trimmedKeys ?? [])], fences, ts: this.#ts }
  }

  /** Restores `memory`. Call it before any event is added. */
  recall({ trimmed, keys, fences, ts }: Stream['memory']): void {
    this.trimmed = trimmed
    this.#ts = ts
    if (keys.length > 0) this.#trimmedKeys = new Set(keys)
    for (const [job, token] of fences) this.raiseFence({ job, token })
  }

  hasKey(key: string): boolean {
    return this.#find(key) !== undefined || this.#trimmedKeys?.has(key) === true
  }

  byKey(key: string): StoredEvent | undefined {
    return this.#find(key)
  }

  /** Returns copies of the requested events that readers see. */
  read({ after = 0, until, types, limit = Infinity, reverse = false }: ReadOptions): StoredEvent[] {
    const last = typeof until === 'number' ? until : this.head
    const moment = until instanceof Date ? until.getTime() : Infinity
    const out: StoredEvent[] = []
    const from = Math.max(after - this.trimmed, 0)
    const to = Math.min(last, this.shownHead) - this.trimmed
    for (let step = 0; step < to - from && out.length < limit; step++) {
      const event = this.events[reverse ? to - 1 - step : from + step]!
      if (event.ts > moment || (types && !types.includes(event.type))) continue
      out.push({ ...event, data: cloneValue(event.data) })
    }
    return out
  }

  /** Drops the events up to `seq`. Their keys stay known, so that they are not appended again. */
  trim(seq: number): void {
    const dropped = this.events.splice(0, Math.max(0, seq - this.trimmed))
    this.trimmed += dropped.length
    this.#trimmedKeys ??= new Set()
    for (const { key } of dropped) if (key !== undefined) this.#trimmedKeys.add(key)
    this.#keys = undefined
  }

  #find(key: string): StoredEvent | undefined {
    if (!this.#keys && this.events.length > SEARCH_LIMIT) {
      this.#keys = new Map(this.events.flatMap((event) => (event.key === undefined ? [] : [[event.key, event.seq]])))
    }
    if (!this.#keys) {
      for (const event of this.events) if (event.key === key) return event
      return undefined
    }
    const seq = this.#keys.get(key)
    return seq === undefined ? undefined : this.events[seq - this.trimmed - 1]
  }

  #tokenOf(job: string): number {
    return this.#job === job ? this.#token : (this.#otherTokens?.get(job) ?? 0)
  }
}
