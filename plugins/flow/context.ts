import { hash } from 'node:crypto'
import {
  checkKeys,
  fitText,
  QueueError,
  type JobFlow,
  type Kernel,
  type RunContext,
  type SerializedError,
} from '../../kernel/index.ts'
import { copyValue } from '../_shared/value.ts'
import { resumedKey } from '../_shared/wait-record.ts'
import type { Carrier } from './carry.ts'
import { FLOW_ENDED, type FlowEnded, type FlowEngine } from './engine.ts'
import { assertEmits } from './graph.ts'
import type { EmitData } from './run.ts'

interface ChildOptions {
  /** Default: one that follows from the step and its order, so that another attempt finds the same run. */
  id?: string
  tags?: readonly string[]
}

/** What a handler of a flow can do with its run. */
export interface FlowContext {
  /**
   * Starts the steps that subscribe to an event. Stored with the completion of this step, so a
   * failed attempt starts nothing; with `immediate` stored now, once for all attempts.
   *
   * @throws QueueError `FLOW_INVALID` for an event that no step waits for
   */
  emit(event: string, payload?: unknown, options?: { immediate?: boolean }): Promise<void>
  /** Ends the run as cancelled: queued steps go, running ones abort, this one included. */
  cancel(reason?: string): Promise<void>
  /**
   * Starts a run of another flow, once for all attempts. With `wait` the handler gives its process
   * back until that run has ended, and answers its result; the run is cancelled with this one.
   *
   * @throws QueueError `FLOW_UNKNOWN`; with `wait`, `FLOW_CHILD_FAILED` when the run has failed or was cancelled
   * @example
   * const invoice = await ctx.flow.start('invoice', job.data, { wait: true })
   */
  start(flow: string, input: unknown, options: ChildOptions & { wait: true }): Promise<unknown>
  start(flow: string, input?: unknown, options?: ChildOptions & { wait?: false }): Promise<{ runId: string }>
}

const START_OPTIONS = ['id', 'tags', 'wait']
const EMIT_OPTIONS = ['immediate']

export function createFlowContext(kernel: Kernel, engine: FlowEngine, carrier: Carrier, ctx: RunContext): FlowContext {
  const { job, runId } = ctx
  let emitted = 0
  let immediately = 0
  const started = new Map<string, number>()

  function place(): JobFlow {
    if (job.flow) return job.flow
    const hint = 'Start it with kernel.flow(…).start().'
    throw new QueueError('FLOW_INVALID', `Job "${job.name}" is not part of a flow. ${hint}`)
  }

  async function start(
    flow: string,
    input?: unknown,
    options: ChildOptions & { wait?: boolean } = {},
  ): Promise<unknown> {
    checkKeys(`ctx.flow.start("${flow}")`, options, START_OPTIONS)
    const { id, tags, wait } = options
    const times = (started.get(flow) ?? 0) + 1
    started.set(flow, times)
    const child = id ?? fitText(`${runId}.${hash('sha1', `${job.id} ${flow} ${times}`, 'base64url').slice(0, 14)}`)
    const name = `${flow}#${times}`
    if (!(wait && (await hasWaited(name)))) {
      await ctx.emit('flow.child', { runId: child, flow, wait: wait === true }, { key: `child:${child}` })
      await kernel.flow(flow).start(input, { id: child, tags, parent: { runId, jobId: job.id, waits: wait === true } })
    }
    if (!wait) return { runId: child }
    const ended = await ctx.step.waitForEvent(name, { event: FLOW_ENDED, key: child, once: true })
    return resultOf(ended as FlowEnded)
  }

  /** In a fork, the run that was waited for is that of the other run, and is not started again. */
  async function hasWaited(name: string): Promise<boolean> {
    if (!job.flow?.forked) return false
    return (await kernel.port('events').byKey(runId, resumedKey(job.id, name))) !== undefined
  }

  return {
    async emit(event, payload, options = {}) {
      checkKeys(`ctx.flow.emit("${event}")`, options, EMIT_OPTIONS)
      const { immediate = false } = options
      const { name, step } = place()
      assertEmits(engine.graphOf(name), step, event)
      const copy = copyValue(payload, kernel.config.payloadLimit, `payload of event "${event}"`)
      const n = immediate ? `i${immediately++}` : `${emitted++}`
      const data: EmitData = { event, payload: copy, n }
      if (immediate) await ctx.emit('emit', data, { key: `emit:${job.id}:${n}` })
      else ctx.outbox.push({ type: 'emit', data, flow: name, step, stepId: job.id })
    },
    async cancel(reason = 'by a step') {
      await carrier.cancel(runId, reason)
    },
    start: start as FlowContext['start'],
  }
}

function resultOf({ runId, flow, outcome, data }: FlowEnded): unknown {
  if (outcome === 'completed') return (data as { result?: unknown }).result
  const { error, reason } = data as { error?: SerializedError; reason?: string }
  const message = `Run ${runId} of flow "${flow}" ended as ${outcome}: ${error?.message ?? reason ?? 'no reason given'}.`
  throw new QueueError('FLOW_CHILD_FAILED', message, { cause: error, details: { runId, outcome } })
}
