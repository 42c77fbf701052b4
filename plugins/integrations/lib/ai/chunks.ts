import type { UIMessageChunk } from 'ai'
import type { RunContext, StoredEvent } from '../../../../kernel/index.ts'

/** The type of the events that carry the answer of a turn. */
export const CHUNKS = 'ai.chunks'

/** The data of an event that carries a part of an answer. */
export interface ChunksData {
  chunks: UIMessageChunk[]
  /** The number of the call of the model that wrote the chunks. Absent for chunks of the turn itself and of tools. */
  call?: number
}

export function dataOf(event: StoredEvent): ChunksData {
  return event.data as ChunksData
}

/** Returns a chunk as it is stored: without members that are `undefined`. */
export function withoutUndefined<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T
}

/** Adds a chunk to a list. Text that follows text of the same part extends it. */
export function addChunk(chunks: UIMessageChunk[], chunk: UIMessageChunk): void {
  const last = chunks.at(-1)
  if (isTextDelta(chunk) && last?.type === chunk.type && last.id === chunk.id && !chunk.providerMetadata)
    chunks[chunks.length - 1] = { ...last, delta: last.delta + chunk.delta }
  else chunks.push(chunk)
}

type TextDelta = Extract<UIMessageChunk, { type: 'text-delta' | 'reasoning-delta' }>

export function isTextDelta(chunk: UIMessageChunk | undefined): chunk is TextDelta {
  return chunk?.type === 'text-delta' || chunk?.type === 'reasoning-delta'
}

/** Stores chunks once, although the handler passes this line in each attempt. */
export async function emitOnce(ctx: RunContext, name: string, chunks: UIMessageChunk[]): Promise<void> {
  await ctx.emit(CHUNKS, { chunks: withoutUndefined(chunks) } satisfies ChunksData, {
    key: chunksKey(ctx.job.id, name),
  })
}

/** The key of an event that `emitOnce` stores. */
export function chunksKey(jobId: string, name: string): string {
  return `ai:${jobId}:${name}`
}

/** The name under which the request for an approval is stored. */
export function requestName(approvalId: string): string {
  return `request ${approvalId}`
}

/** The event that carries the response of a person. */
export const APPROVAL = 'ai.approval'
