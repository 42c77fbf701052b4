import { isQueueError, toError, type Kernel } from '../../../kernel/index.ts'
import { createBoundedStream } from '../../lib/bounded-stream.ts'
import { copyValue } from '../../lib/value.ts'
import type { TriggerEvent } from './definition.ts'

/** How many events of each trigger are kept. */
const KEEP = 1000
/** The largest payload, in bytes, that is kept along. */
const PAYLOAD = 16 * 1024

/** Why something did not start: a code of an error, `FILTERED`, or `FAILED` for an error without a code. */
export interface TriggerRefusal {
  reason: string
  message: string
}

/** What has become of the event for one subscription. */
export type TriggerStart = { subscription: string } & ({ runId: string; queue: string; jobId: string } | TriggerRefusal)

/** An event as the history of a trigger tells it. */
export interface TriggerRecord extends Pick<TriggerEvent, 'id' | 'key'> {
  type: 'fired' | 'refused'
  /** Milliseconds since the epoch at which that was decided. */
  at: number
  /** Left out when it is larger than 16 KiB. */
  payload?: unknown
  /** Of one that fired: what it has started. */
  started?: TriggerStart[]
  /** Of one that was refused. */
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
    /** Newest first. What was recorded twice, because its job came twice, is told once. */
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
