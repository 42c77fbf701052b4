import type { EventDraft, RunInfo, RunPatch, StoredEvent } from '../../../../kernel/index.ts'
import { decodeJson, encodeJson } from '../../../lib/json.ts'
import { tagsOf } from '../../lib/tags.ts'

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

/**
 * The field of a stream for a key or the fence of a job. Many end with the name of the stream, and most
 * streams are small: such ones leave it out, which is a third of their size.
 */
export function fieldOf(kind: 'k' | 't', stream: string, name: string): string {
  if (stream === '' || !name.endsWith(stream)) return `${kind}:${name}`
  return `${kind.toUpperCase()}:${name.slice(0, -stream.length)}`
}

type Names = [name: string, queue: string, jobId: string | true, flow: string, tags?: readonly string[] | 0]

/**
 * What a run is called, short enough for a compact hash: a job that shares its run's id is `true`. Tags
 * only if they are set, and 0 if to none, since Lua has no empty array.
 */
export function encodeNames(runId: string, { name = '', queue = '', jobId = '', flow = '', tags }: RunPatch): string {
  const names: Names = [name, queue, jobId === runId ? true : jobId, flow]
  if (tags !== undefined) names.push(tagsOf(tags) ?? 0)
  return JSON.stringify(names)
}

/** The fields of a stream that tell of its run. */
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
