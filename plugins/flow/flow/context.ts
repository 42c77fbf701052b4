import { checkKeys, QueueError, type JobFlow, type PluginKernel, type RunContext } from '../../../kernel/index.ts'
import type { PauseState } from '../../lib/suspension.ts'
import { copyValue } from '../../lib/value.ts'
import type { Advancer } from './advancer.ts'
import { createChildren, type ChildRunOptions, type ChildStart } from './children.ts'
import type { FlowEngine } from './engine.ts'
import { assertEmits } from './graph.ts'
import type { EmitData } from './run.ts'

/** The operations of a handler of a flow on its run. */
export interface FlowContext {
  /**
   * Starts the steps that subscribe to an event. The event is stored with the completion of this step, so a
   * failed attempt starts nothing. With `immediate`, it is stored at once, only once across all attempts.
   *
   * @throws QueueError `FLOW_INVALID` for an event that no step subscribes to
   */
  emit(event: string, payload?: unknown, options?: { immediate?: boolean }): Promise<void>
  /** Ends the run as cancelled. Queued steps leave their queues, and running steps abort, including this one. */
  cancel(reason?: string): Promise<void>
  /**
   * Starts a run of another flow, only once across all attempts. With `wait`, the handler is suspended without using a process until that
   * run has ended. The call then returns its result. If this run is cancelled, the other run is cancelled too.
   *
   * @throws QueueError `FLOW_UNKNOWN`; with `wait`, `FLOW_CHILD_FAILED` when the run failed or was cancelled
   * @example
   * const invoice = await ctx.flow.start('invoice', job.data, { wait: true })
   */
  start(flow: string, input: unknown, options: ChildRunOptions & { wait: true }): Promise<unknown>
  start(flow: string, input?: unknown, options?: ChildRunOptions & { wait?: false }): Promise<{ runId: string }>
  /** For runtimes: starts a run, and returns the state of the wait for it. */
  begin(flow: string, input?: unknown, options?: ChildStart): Promise<PauseState>
}

const EMIT_OPTIONS = ['immediate']

export function createFlowContext(
  kernel: PluginKernel,
  engine: FlowEngine,
  advancer: Advancer,
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
    throw new QueueError('FLOW_INVALID', `Job "${job.name}" is not part of a flow, so it cannot emit. ${hint}`)
  }

  /** A plugin may call the handler a second time. The events of the first call are then discarded. */
  function beginAnew(): void {
    if (called === ctx.invocation) return
    called = ctx.invocation
    emitted = immediately = 0
    const kept = kernel.outbox(ctx).filter(({ type }) => type !== 'emit')
    kernel.outbox(ctx).splice(0, kernel.outbox(ctx).length, ...kept)
  }

  async function start(flow: string, input?: unknown, options: ChildStart = {}): Promise<unknown> {
    const begin = (): Promise<PauseState> => children.start(flow, input, options)
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
      await advancer.cancel(runId, reason)
    },
    start: start as FlowContext['start'],
    begin: children.start,
  }
}
