import { isQueueError, toError, type PluginKernel } from '../../../kernel/index.ts'
import { createBoundedStream } from '../../lib/bounded-stream.ts'
import { copyValue } from '../../lib/value.ts'
import type { TriggerEvent } from './definition.ts'

/** How many events of each trigger are kept. */
const KEEP = 1000
/** How many requests that did not become events are kept for each trigger. */
const KEEP_REJECTED = 100
/** Milliseconds between two records of such requests, because anyone can send them. */
const REJECTED_EVERY = 1000
/** The largest payload, in bytes, that the history keeps. */
const PAYLOAD = 16 * 1024

/** Why nothing started. `reason` is an error code, `FILTERED`, or `FAILED` for an error without a code. */
export interface TriggerRefusal {
  reason: string
  message: string
}

/** The outcome of an event for one subscription. */
export type TriggerStart = { subscription: string } & ({ runId: string; queue: string; jobId: string } | TriggerRefusal)

/** An event in the history of a trigger. */
export interface TriggerRecord extends Pick<TriggerEvent, 'id' | 'key'> {
  type: 'fired' | 'refused'
  /** When it fired or was refused, in milliseconds since the epoch. */
  at: number
  /** Absent if it is larger than 16 KiB. */
  payload?: unknown
  /** For a fired event: the targets that it started. */
  started?: TriggerStart[]
  /** For a refused event: the reason, as in `TriggerRefusal`. */
  reason?: string
  message?: string
  /** For a request to a webhook: whether its sender proved its origin. Always false with `verify: 'none'`. */
  verified?: boolean
  /**
   * For a refused request: how many requests were refused since the previous record, if there were several. In that case, `id` is empty.
   */
  count?: number
}

/** An event, and whether the sender of its request proved its origin. */
type RecordedEvent = TriggerEvent & Pick<TriggerRecord, 'verified'>

/** @param names returns the names of all triggers */
export function createHistory(kernel: PluginKernel, names: () => Promise<string[]>) {
  const streams = createBoundedStream(kernel, KEEP)
  const rejections = createBoundedStream(kernel, KEEP_REJECTED)
  kernel.declareStreams?.({ names: async () => (await names()).map(streamOf), keep: KEEP })
  kernel.declareStreams?.({ names: async () => (await names()).map(rejectedStreamOf), keep: KEEP_REJECTED })
  /** The requests that were rejected since the last record, by trigger. */
  const rejected = new Map<string, { at: number; count: number }>()

  async function append(type: string, event: RecordedEvent, payload: unknown, data: object) {
    const { trigger, id, key, verified } = event
    const facts = { id, key, ...(verified !== undefined && { verified }), ...kept(payload), ...data }
    await streams.append(streamOf(trigger), { type, data: facts })
  }

  return {
    fired: (event: RecordedEvent, payload: unknown, started: TriggerStart[]) =>
      append('trigger.fired', event, payload, { started }),
    refused: (event: RecordedEvent, payload: unknown, refusal: TriggerRefusal) =>
      append('trigger.refused', event, payload, refusal),
    /** Records a request that did not become an event. A flood of such requests costs one append per second. */
    async rejected(trigger: string, verified: boolean, refusal: TriggerRefusal): Promise<void> {
      const at = kernel.clock.now()
      const before = rejected.get(trigger) ?? { at: -Infinity, count: 0 }
      const count = before.count + 1
      if (at - before.at < REJECTED_EVERY) return void rejected.set(trigger, { ...before, count })
      rejected.set(trigger, { at, count: 0 })
      const data = { id: '', key: '', verified, ...refusal, ...(count > 1 && { count }) }
      await rejections.append(rejectedStreamOf(trigger), { type: 'trigger.refused', data })
    },
    /** Returns events, newest first. An event that was recorded twice because its job ran twice appears once. */
    async read(name: string, limit: number): Promise<TriggerRecord[]> {
      const [events, requests] = await Promise.all([
        streams.newest(streamOf(name), limit),
        rejections.newest(rejectedStreamOf(name), limit),
      ])
      const records = [...events, ...requests]
        .toSorted((a, b) => b.ts - a.ts)
        .slice(0, limit)
        .map(
          ({ type, ts, data }) =>
            ({ type: type === 'trigger.fired' ? 'fired' : 'refused', at: ts, ...(data as object) }) as TriggerRecord,
        )
      const fired = new Set<string>()
      return records.filter(({ type, id }) => type === 'refused' || (!fired.has(id) && fired.add(id)))
    },
  }
}
export type History = ReturnType<typeof createHistory>

export function refusalOf(error: unknown): TriggerRefusal {
  return { reason: isQueueError(error) ? error.code : 'FAILED', message: toError(error).message }
}

function kept(payload: unknown): { payload?: unknown } {
  try {
    return { payload: copyValue(payload, PAYLOAD, 'payload') }
  } catch {
    return {}
  }
}

function streamOf(name: string): string {
  return `trigger:${name}`
}

function rejectedStreamOf(name: string): string {
  return `_rejected:${name}`
}
