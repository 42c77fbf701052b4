import type { EventDraft, RunInfo, RunPatch, StoredEvent } from '../../../../kernel/index.ts'
import { decodeJson, encodeJson } from '../../../lib/json.ts'
import { tagsOf } from '../../lib/tags.ts'

/** Encodes an event for the log: JSON, with `data` in the format of the payload codec. */
export function encodeEvent({ type, key, flow, step, stepId, attempt, data }: EventDraft): string {
  const envelope = JSON.stringify({ type, key, flow, step, stepId, attempt })
  return data === undefined ? envelope : `${envelope.slice(0, -1)},"data":${encodeJson(data)}}`
}

/** Encodes an event that was copied from another store. It keeps its time. */
export function encodeCopied({ ts, ...event }: StoredEvent): string {
  return `{"ts":${ts},${encodeEvent(event).slice(1)}`
}

/**
 * Decodes an event of the log. The id of its entry begins with the time at which Redis stored it, which is its `ts`, unless it was copied
 * from another store.
 */
export function decodeEvent(runId: string, seq: number, entryId: string, text: string): StoredEvent {
  const decoded = decodeJson(text) as EventDraft & { ts?: number }
  const { type, flow, step, stepId, attempt, data, key, ts = Number.parseInt(entryId, 10) } = decoded
  return { seq, id: `${runId}:${seq}`, ts, type, runId, flow, step, stepId, attempt, data, key }
}

/**
 * Returns the field of a stream's hash for a key (`k`) or for the fence of a job (`t`). Many of these names end with the name of the
 * stream. Such a field has an upper case letter and omits the name of the stream, which saves a third of the size of a small stream.
 */
export function hashFieldOf(kind: 'k' | 't', stream: string, name: string): string {
  if (stream === '' || !name.endsWith(stream)) return `${kind}:${name}`
  return `${kind.toUpperCase()}:${name.slice(0, -stream.length)}`
}

type Names = [name: string, queue: string, jobId: string | true, flow: string, tags?: readonly string[] | 0]

/**
 * Encodes the names of a run, short enough for a compact hash. A job with the same id as its run is encoded as `true`. Tags are
 * present only if they are set. An empty list of tags is encoded as 0, because Lua has no empty array.
 */
export function encodeNames(runId: string, { name = '', queue = '', jobId = '', flow = '', tags }: RunPatch): string {
  const names: Names = [name, queue, jobId === runId ? true : jobId, flow]
  if (tags !== undefined) names.push(tagsOf(tags) ?? 0)
  return JSON.stringify(names)
}

/** The fields of a stream's hash that describe its run: status, names, start, update, end, head. */
export const RUN_FIELDS = ['s', 'p', 'b', 'u', 'e', 'h'] as const

export function decodeRun(runId: string, fields: readonly (string | null)[]): RunInfo {
  const [status, names, began, updated, ended, head] = fields.map((field) => field || undefined)
  const endedAt = ended === undefined ? undefined : Math.floor(Number(ended))
  const [name, queue, jobId, flow, tags] = JSON.parse(names ?? '["","","",""]') as Names
  return {
    runId,
    status: status as RunInfo['status'],
    name,
    queue: queue || undefined,
    jobId: jobId === true ? runId : jobId || undefined,
    flow: flow || undefined,
    tags: tags || undefined,
    startedAt: Math.floor(Number(began)),
    updatedAt: endedAt ?? Number(updated),
    endedAt,
    head: Number(head ?? 0),
  }
}
