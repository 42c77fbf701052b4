import type { EventDraft, JobRecord, Kernel, RunPatch } from '../../../kernel/index.ts'
import type { FlowGraph } from './graph.ts'
import { instanceId, type StartedData } from './run.ts'

/** The fields of an entry's job that the first event of its run needs. */
export type Begun = Pick<JobRecord, 'id' | 'data' | 'flow' | 'createdAt' | 'tags' | 'headers'>

const OPEN: ReadonlySet<string> = new Set(['waiting', 'delayed', 'active'])

/** Returns the first event of a run. */
export function startedEvent({ version }: FlowGraph, begun: Begun): EventDraft {
  const { id: stepId, data: input, flow, createdAt, headers = {} } = begun
  const { name, step, start, pin } = flow!
  const tags = tagsOf(begun)
  const data: StartedData = { input, step, version, acknowledgedAt: createdAt, ...start, ...(tags && { tags }) }
  if (pin) data.pin = true
  if (Object.keys(headers).length > 0) data.headers = headers
  return { type: 'flow.started', key: 'flow.started', flow: name, stepId, data }
}

export function runPatchOf(begun: Begun): RunPatch {
  const { name } = begun.flow!
  const tags = tagsOf(begun)
  return { name, flow: name, ...(tags && { tags }) }
}

/** Returns the tags of a run, which are the tags of its entry. Entries of earlier releases have them in their flow. */
function tagsOf({ tags, flow }: Begun): string[] | undefined {
  const all = [...(tags ?? []), ...(flow!.start?.tags ?? [])]
  return all.length === 0 ? undefined : all
}

/** Returns the entry of a run that was acknowledged and that no worker has begun. */
export async function findUnstarted(kernel: Kernel, runId: string, graph: FlowGraph): Promise<JobRecord | undefined> {
  if (await kernel.port('events').byKey(runId, 'flow.started')) return undefined
  for (const { step, role, worker } of graph.steps.values()) {
    if (role !== 'entry') continue
    const job = await kernel.port('queue').getJob(worker.queue.name, instanceId(runId, step))
    if (job?.flow?.name === graph.name && OPEN.has(job.state)) return job
  }
  return undefined
}
