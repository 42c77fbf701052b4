import type { EventDraft, RunInfo, StoredEvent } from '../../kernel/index.ts'
import { decodeJson, encodeJson } from '../_shared/json.ts'

/** An event as it lies in the log: JSON, with data as the payload codec writes it. */
export function encodeEvent({ type, key, flow, step, stepId, attempt, data }: EventDraft): string {
  const envelope = JSON.stringify({ type, key, flow, step, stepId, attempt })
  return data === undefined ? envelope : `${envelope.slice(0, -1)},"data":${encodeJson(data)}}`
}

/** `ts` is when the store took the event in, which is what the id of its entry begins with. */
export function decodeEvent(runId: string, seq: number, entryId: string, text: string): StoredEvent {
  const { type, flow, step, stepId, attempt, data, key } = decodeJson(text) as EventDraft
  const ts = Number.parseInt(entryId, 10)
  return { seq, id: `${runId}:${seq}`, ts, type, runId, flow, step, stepId, attempt, data, key }
}

/** The fields that a change of a run touches, by their short names in the store. */
export type StoredPatch = Partial<Record<'s' | 'n' | 'q' | 'j' | 'w', string>>

export function decodeRun(runId: string, fields: readonly (string | null)[]): RunInfo {
  const [status, name, queue, jobId, flow, began, updated, ended, head] = fields.map((field) => field || undefined)
  return {
    runId,
    status: status as RunInfo['status'],
    name: name ?? '',
    queue,
    jobId,
    flow,
    startedAt: Math.floor(Number(began)),
    updatedAt: Number(updated),
    endedAt: ended === undefined ? undefined : Math.floor(Number(ended)),
    head: Number(head ?? 0),
  }
}
