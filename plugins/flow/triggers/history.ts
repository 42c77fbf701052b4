import { isQueueError, toError, type Kernel } from '../../../kernel/index.ts'
import { createBoundedStream } from '../../lib/bounded-stream.ts'
import { copyValue } from '../../lib/value.ts'
import type { TriggerEvent } from './definition.ts'

/** How many events of each trigger are kept. */
const KEEP = 1000
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
  /** Absent when it is larger than 16 KiB. */
  payload?: unknown
  /** For a fired event: the targets that it started. */
  started?: TriggerStart[]
  /** For a refused event: the reason, as in `TriggerRefusal`. */
  reason?: string
  message?: string
}

export function createHistory(kernel: Kernel) {
  const streams = createBoundedStream(kernel, KEEP)

  async function append(type: string, { trigger, id, key }: TriggerEvent, payload: unknown, data: object) {
    await streams.append(streamOf(trigger), { type, data: { id, key, ...kept(payload), ...data } })
  }

  return {
    fired: (event: TriggerEvent, payload: unknown, started: TriggerStart[]) =>
      append('trigger.fired', event, payload, { started }),
    refused: (event: TriggerEvent, payload: unknown, refusal: TriggerRefusal) =>
      append('trigger.refused', event, payload, refusal),
    /** Returns the newest events first. An event that was recorded twice, because its job ran twice, appears once. */
    async read(name: string, limit: number): Promise<TriggerRecord[]> {
      const records = (await streams.newest(streamOf(name), limit)).map(
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
