import { hash } from 'node:crypto'
import {
  checkKeys,
  fitText,
  isQueueError,
  QueueError,
  type EnqueuedJob,
  type PluginKernel,
  type RunContext,
  type SerializedError,
} from '../../../kernel/index.ts'
import { forgotten } from '../../jobs/lib/forgotten.ts'
import { over, type PauseState } from '../../lib/suspension.ts'
import { awaitingKey, resumedKey, type WaitResult } from '../lib/wait-record.ts'
import { FLOW_ENDED, type FlowEnded, type FlowEngine } from './engine.ts'
import type { AwaitedData, ChildData } from './run.ts'

export interface ChildRunOptions {
  /** Default: derived from the step and the order of its calls, so that another attempt finds the same run. */
  id?: string
  tags?: readonly string[]
}

export type ChildStart = ChildRunOptions & { wait?: boolean }

const START_OPTIONS = ['id', 'tags', 'wait']

const startedKey = (child: string): string => `child.started:${child}`

/** Starts runs from within a job. A run that the log records as started is never started again. */
export function createChildren(kernel: PluginKernel, engine: FlowEngine, ctx: RunContext) {
  const { job, runId } = ctx
  const times = new Map<string, number>()
  let called = ctx.invocation

  function count(flow: string): number {
    if (called !== ctx.invocation) times.clear()
    called = ctx.invocation
    const time = (times.get(flow) ?? 0) + 1
    times.set(flow, time)
    return time
  }

  async function isOnRecord(key: string): Promise<boolean> {
    return (await kernel.port('events').byKey(runId, key)) !== undefined
  }

  /** Returns the name of the wait for a child run, and whether the log records that the run was started. */
  async function known(child: string, flow: string, time: number): Promise<{ name: string; started: boolean }> {
    const name = `(flow) ${flow}#${time}`
    if (ctx.claim === 1 && !job.flow?.forked) return { name, started: false }
    const event = await kernel.port('events').byKey(runId, `child:${child}`)
    const before = `${flow}#${time}`
    const { as = before } = (event?.data ?? { as: name }) as Partial<ChildData>
    // In a fork, the wait has the result of the child of the original run, so the child is not started again.
    if (await hasEnded(name, flow)) return { name, started: true }
    if (await hasEnded(before, flow)) return { name: before, started: true }
    const facts = await Promise.all([isOnRecord(awaitingKey(job.id, as)), isOnRecord(startedKey(child))])
    return { name: as, started: facts.includes(true) }
  }

  async function hasEnded(name: string, flow: string): Promise<boolean> {
    const event = await kernel.port('events').byKey(runId, resumedKey(job.id, name))
    const payload = (event?.data as WaitResult | undefined)?.payload as Partial<FlowEnded> | undefined
    return payload?.flow === flow && payload.outcome !== undefined
  }

  /** Registers this job as a listener of a run that another caller started. If the run has ended, its end is sent at once. */
  async function listen(child: string, flow: string, entry: EnqueuedJob): Promise<string> {
    const key = fitText(`${child}.${job.id}`)
    if (await isForgotten(child, entry)) {
      const cause = forgotten(`Run ${child} of flow "${flow}"`)
      throw new QueueError('FLOW_CHILD_FAILED', cause.message, { cause, retryable: false, details: { runId: child } })
    }
    const data: AwaitedData = { key, jobId: job.id }
    const awaited = { type: 'flow.awaited', key: `flow.awaited:${key}`, flow, data }
    const { ok } = await kernel.emit(child, [awaited], { unless: 'end' })
    if (ok) return key
    const end = (await kernel.port('events').byKey(child, 'end'))!
    const outcome = end.type.slice('flow.'.length) as FlowEnded['outcome']
    const ended: FlowEnded = { runId: child, flow, outcome, data: end.data ?? {} }
    await kernel.sendReserved(FLOW_ENDED, ended, { id: key, key })
    return key
  }

  async function isForgotten(child: string, { queue, id }: EnqueuedJob): Promise<boolean> {
    if (await kernel.port('events').byKey(child, 'flow.started')) return false
    const job = await kernel.port('queue').getJob(queue, id)
    return job === undefined || job.finishedAt !== undefined
  }

  function lookAt(name: string, key: string) {
    return ctx.step.look(name, { kind: 'event', event: FLOW_ENDED, key, once: true })
  }

  return {
    async start(flow: string, input?: unknown, options: ChildStart = {}): Promise<PauseState> {
      checkKeys(`ctx.flow.start("${flow}")`, options, START_OPTIONS)
      const { id, tags, wait = false } = options
      const time = count(flow)
      const child = id ?? fitText(`${runId}.${hash('sha1', `${job.id} ${flow} ${time}`, 'base64url').slice(0, 14)}`)
      const { name, started } = await known(child, flow, time)
      let key = child
      if (!started) {
        const data: ChildData = { runId: child, flow, wait, as: name }
        await kernel.record(ctx, 'flow.child', data, { key: `child:${child}` })
        const entry = await kernel
          .flow(flow)
          .start(input, { id: child, tags, headers: job.headers, parent: { runId, jobId: job.id, waits: wait } })
        if (wait && entry.deduplicated) key = await listen(child, flow, entry)
        // With `wait`, the record of the wait proves the start, so this event is needed only without it.
        if (!wait) await kernel.record(ctx, 'flow.child.started', { runId: child, flow }, { key: startedKey(child) })
      }
      if (!wait) return over({ runId: child })
      const status = await lookAt(name, key).catch(async (error: unknown) => {
        // The job ended between the record of the child and its start, so nothing else would cancel this run.
        if (isQueueError(error, 'RUN_ENDED'))
          await engine.cancel(child, 'the job that waits for it has ended', { flow, startedBy: runId })
        throw error
      })
      return status.over ? over(resultOf(status.result as FlowEnded)) : status
    },
  }
}

function resultOf({ runId, flow, outcome, data }: FlowEnded): unknown {
  if (outcome === 'completed') return (data as { result?: unknown }).result
  const { error, reason } = data as { error?: SerializedError; reason?: string }
  const message = `Run ${runId} of flow "${flow}" ended as ${outcome}: ${error?.message ?? reason ?? 'no reason given'}.`
  throw new QueueError('FLOW_CHILD_FAILED', message, { cause: error, details: { runId, outcome } })
}
