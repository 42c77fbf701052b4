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

/** Up to this many events a search through them beats a map of their keys. */
const SEARCH_LIMIT = 8

/** The history of one run: an array, and what has to be known about it before the next append. */
export class Stream {
  readonly name: string
  /** What is kept; the event of `seq` stands at `seq - trimmed - 1`. */
  readonly events: StoredEvent[] = []
  trimmed = 0
  info: RunInfo | undefined
  /** Its place among the runs in the order in which they began. */
  begun = 0
  snapshots: Snapshot[] | undefined
  /** Its place among the ended runs. */
  ended: EndedNode<Stream> | undefined
  /** The newest `ts` given, kept beyond the event that has it. */
  #ts = 0
  #keys: Map<string, number> | undefined
  #trimmedKeys: Set<string> | undefined
  /** Most runs have one job, so the first fence needs no map. */
  #job: string | undefined
  #token = 0
  #otherTokens: Map<string, number> | undefined

  constructor(name: string) {
    this.name = name
  }

  get head(): number {
    return this.trimmed + this.events.length
  }

  /** Why an append must not happen, if so. */
  refusal(options: AppendOptions): AppendRefusal['reason'] | undefined {
    const { unless, fence, expectedSeq, reopen } = options
    if (unless !== undefined && this.hasKey(unless)) return 'unless'
    if (this.info !== undefined && this.info.status !== 'running' && !reopen) return 'ended'
    if (fence && fence.token < this.#tokenOf(fence.job)) return 'fence'
    return expectedSeq !== undefined && expectedSeq !== this.head ? 'expectedSeq' : undefined
  }

  /** Stores what is new, each draft with its own copy of the data. */
  push(drafts: readonly EventDraft[], data: readonly unknown[], now: number): StoredEvent[] {
    const stored: StoredEvent[] = []
    const ts = (this.#ts = Math.max(now, this.#ts))
    for (const [index, { type, key, flow, step, stepId, attempt }] of drafts.entries()) {
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

  /** Keeps a snapshot in the order of `seq`. False when it is there already. */
  keep(snapshot: Snapshot): boolean {
    const snapshots = (this.snapshots ??= [])
    const before = snapshots.findLastIndex(({ seq }) => seq <= snapshot.seq)
    const there = snapshots[before]
    if (there?.reducer === snapshot.reducer && there.seq === snapshot.seq) return false
    snapshots.splice(before + 1, 0, snapshot)
    return true
  }

  /** What decides about the next append, beside the events: for a store that writes it down. */
  get memory(): { trimmed: number; keys: string[]; fences: [job: string, token: number][]; ts: number } {
    const first: [string, number][] = this.#job === undefined ? [] : [[this.#job, this.#token]]
    const fences = [...first, ...(this.#otherTokens ?? [])]
    return { trimmed: this.trimmed, keys: [...(this.#trimmedKeys ?? [])], fences, ts: this.#ts }
  }

  /** Takes `memory` back, before any event. */
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

  /** Copies of the events asked for. */
  read({ after = 0, until, types, limit = Infinity, reverse = false }: ReadOptions): StoredEvent[] {
    const last = typeof until === 'number' ? until : this.head
    const moment = until instanceof Date ? until.getTime() : Infinity
    const out: StoredEvent[] = []
    const from = Math.max(after - this.trimmed, 0)
    const to = Math.min(last - this.trimmed, this.events.length)
    for (let step = 0; step < to - from && out.length < limit; step++) {
      const event = this.events[reverse ? to - 1 - step : from + step]!
      if (event.ts > moment || (types && !types.includes(event.type))) continue
      out.push({ ...event, data: cloneValue(event.data) })
    }
    return out
  }

  /** Drops the events up to `seq`; their keys go on refusing. */
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
    if (!this.#keys) return this.events.find((event) => event.key === key)
    const seq = this.#keys.get(key)
    return seq === undefined ? undefined : this.events[seq - this.trimmed - 1]
  }

  #tokenOf(job: string): number {
    return this.#job === job ? this.#token : (this.#otherTokens?.get(job) ?? 0)
  }
}
