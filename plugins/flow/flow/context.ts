import { checkKeys, QueueError, type JobFlow, type PluginKernel, type RunContext } from '../../../kernel/index.ts'
import type { Suspendable } from '../../lib/suspension.ts'
import { copyValue } from '../../lib/value.ts'
import type { Carrier } from './carry.ts'
import { createChildren, type ChildOptions, type ChildStart } from './children.ts'
import type { FlowEngine } from './engine.ts'
import { assertEmits } from './graph.ts'
import type { EmitData } from './run.ts'

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
  /** For runtimes: how the start of a run, and the wait for it, stand. */
  begin(flow: string, input?: unknown, options?: ChildStart): Promise<Suspendable>
}

const EMIT_OPTIONS = ['immediate']

export function createFlowContext(
  kernel: PluginKernel,
  engine: FlowEngine,
  carrier: Carrier,
  ctx: RunContext,
): FlowContext {
  const { job, runId } = ctx
  const children = createChildren(kernel, engine, ctx)
  let emitted = 0
  let immediately = 0
  let called = ctx.invocation

  function place(): JobFlow {
    if (job.flow) return job.flow
    const hint = 'Start it with kernel.flow(…).start().'
    throw new QueueError('FLOW_INVALID', `Job "${job.name}" is not part of a flow. ${hint}`)
  }

  /** A plugin that calls the handler again has it emit anew. */
  function beginAnew(): void {
    if (called === ctx.invocation) return
    called = ctx.invocation
    emitted = immediately = 0
    const kept = kernel.outbox(ctx).filter(({ type }) => type !== 'emit')
    kernel.outbox(ctx).splice(0, kernel.outbox(ctx).length, ...kept)
  }

  async function start(flow: string, input?: unknown, options: ChildStart = {}): Promise<unknown> {
    const begin = (): Promise<Suspendable> => children.start(flow, input, options)
    if (options.wait) return ctx.step.pause(begin)
    return ((await begin()) as { result?: unknown }).result
  }

  return {
    async emit(event, payload, options = {}) {
      checkKeys(`ctx.flow.emit("${event}")`, options, EMIT_OPTIONS)
      const { immediate = false } = options
      const { name, step } = place()
      beginAnew()
      assertEmits(engine.graphOf(name), step, event)
      const copy = copyValue(payload, kernel.config.payloadLimit, `payload of event "${event}"`)
      const n = immediate ? `i${immediately++}` : `${emitted++}`
      const data: EmitData = { event, payload: copy, n }
      if (immediate) await kernel.record(ctx, 'emit', data, { key: `emit:${job.id}:${n}` })
      else kernel.outbox(ctx).push({ type: 'emit', data, flow: name, step, stepId: job.id })
    },
    async cancel(reason = 'by a step') {
      await carrier.cancel(runId, reason)
    },
    start: start as FlowContext['start'],
    begin: children.start,
  }
}
