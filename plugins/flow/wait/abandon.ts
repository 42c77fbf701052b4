import type { EmitPayload, Kernel, Next } from '../../../kernel/index.ts'
import type { WaitRecord } from './record.ts'
import type { WaitStreams } from './streams.ts'
import type { Waits } from './waits.ts'

const TERMINAL = /^step\.(?:completed|failed|cancelled)$/

/** Closes the waits of jobs that have ended before their waits were over. */
export async function abandonWaits(
  kernel: Kernel,
  streams: WaitStreams,
  waits: Waits,
  { ctx, stream, events }: EmitPayload,
  next: Next,
): Promise<void> {
  await next()
  if (ctx) {
    if (events.some(({ type, stepId }) => TERMINAL.test(type) && stepId === ctx.job.id)) await waits.abandon(ctx)
    return
  }
  const ended = new Set(events.flatMap(({ type, stepId }) => (type === 'step.cancelled' && stepId ? [stepId] : [])))
  const runEnded = events.some(({ type }) => type === 'flow.failed' || type === 'flow.cancelled')
  const open = new Map<string, { jobId: string; record: WaitRecord }>()
  for (const event of await kernel.port('events').read(stream, { types: ['step.awaiting', 'step.resumed'] })) {
    const id = `${event.stepId}/${(event.data as WaitRecord).name}`
    if (event.type === 'step.resumed') open.delete(id)
    else if (runEnded || ended.has(event.stepId!))
      open.set(id, { jobId: event.stepId!, record: event.data as WaitRecord })
  }
  for (const { jobId, record } of open.values()) await streams.close(record, jobId)
}
