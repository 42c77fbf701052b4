import type { EmitPayload, EventDraft, Kernel } from '../../kernel/index.ts'

/**
 * Returns the end of a job that an append of its attempt has stored, or `undefined` if it has stored none. Also returns the end that was
 * stored earlier if the append is refused because of it: the process that stored that end may have died before it handled the consequences.
 * Call it after `next()` of the hook `emit`.
 */
export async function storedEnd(
  kernel: Pick<Kernel, 'port'>,
  { stream, events, options: { unless }, result }: EmitPayload,
): Promise<EventDraft | undefined> {
  if (unless === undefined || !result) return undefined
  if (result.ok) return events.find(({ key }) => key === unless)
  const isEdge = events.some(({ type, key }) => type === 'step.started' || key === unless)
  return result.reason === 'unless' && isEdge ? kernel.port('events').byKey(stream, unless) : undefined
}
