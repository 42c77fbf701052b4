import {
  definePlugin,
  QueueError,
  type EmitPayload,
  type EnqueuedJob,
  type RunContext,
  type RunInfo,
  type SerializedError,
} from '../../kernel/index.ts'
import { addLazyMember } from '../_shared/lazy-member.ts'
import { copyValue } from '../_shared/value.ts'
import { createFlowEngine } from './engine.ts'
import { instanceId, type EmitData } from './fold.ts'
import { assertEmits, type FlowOptions } from './graph.ts'

export type { FlowOptions } from './graph.ts'

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
}

export interface FlowHandle {
  /** Starts a run; with an `id` only if there is no run of that id, which is also its `runId`. */
  start(input?: unknown, options?: { id?: string }): Promise<EnqueuedJob>
  /** False when the run has ended already, or has not begun. */
  cancel(runId: string, options?: { reason?: string }): Promise<boolean>
  /** @throws QueueError `RUN_NOT_FOUND` */
  status(runId: string): Promise<RunInfo>
  /**
   * Waits for the end of a run and answers what its last step returned.
   *
   * @param options.timeout milliseconds; default: as long as it takes
   * @throws QueueError `JOB_CANCELLED`, `JOB_TIMEOUT`; or an Error with the message of the failed step's
   */
  result(runId: string, options?: { timeout?: number }): Promise<unknown>
}

declare module 'nuxt-queue/kernel' {
  interface WorkerConfig {
    /** Makes the worker a part of a flow. */
    flow?: FlowOptions
  }
  interface RunContext {
    readonly flow: FlowContext
  }
  interface Kernel {
    /** The flow of a name. @throws QueueError `FLOW_UNKNOWN` */
    flow(name: string): FlowHandle
  }
}

/** Runs graphs of workers: an entry, and steps that subscribe to what others emit. */
export default definePlugin({
  name: 'flow',
  requires: ['queue', 'events', 'control'],
  setup(kernel) {
    const engine = createFlowEngine(kernel)
    kernel.onWorkerStart(({ worker }) => {
      engine.forgetGraphs()
      if (worker.flow?.role === 'entry') engine.graphOf(worker.flow.name)
    })

    kernel.hook(
      'enqueue',
      ({ job, worker }, next) => {
        const { name, step } = worker!.worker.flow!
        job.flow ??= { name, step: step ?? worker!.id }
        return next()
      },
      { when: ({ worker }) => worker?.worker.flow?.role === 'entry' },
    )
    addLazyMember(kernel, 'flow', createContext)
    kernel.hook('emit', emitInFlow, {
      when: ({ ctx, events }) => (ctx ? ctx.job.flow !== undefined : events[0]?.flow !== undefined),
    })

    async function emitInFlow(payload: EmitPayload, next: () => unknown): Promise<void> {
      const { ctx, stream, events } = payload
      const starts = events[0]?.type === 'step.started'
      const { flow, data: input } = ctx?.job ?? {}
      if (starts && flow && flow.cause === undefined) {
        events.unshift({ type: 'flow.started', key: 'flow.started', flow: flow.name, data: { input } })
        payload.options.run = { name: flow.name, flow: flow.name }
      }
      await next()
      const { result } = payload
      if (result?.ok && events.some(({ type }) => FOLLOWED.has(type))) await engine.carryOn(stream)
      // A second delivery of a job that has ended: whoever ended it may have died before the rest was done.
      if (starts && result?.ok === false && result.reason === 'unless') await engine.carryOn(stream, { repair: true })
    }

    function createContext(ctx: RunContext): FlowContext {
      const { job, runId, worker } = ctx
      let emitted = 0
      return {
        async emit(event, payload, { immediate = false } = {}) {
          if (!job.flow) {
            throw new QueueError(
              'FLOW_INVALID',
              `Job "${job.name}" is not part of a flow. Start it with kernel.flow(…).start().`,
            )
          }
          assertEmits(engine.graphOf(job.flow.name), worker, event)
          const what = `payload of event "${event}"`
          const data: EmitData = { event, payload: copyValue(payload, kernel.config.payloadLimit, what) }
          const { name, step } = job.flow
          if (immediate) await ctx.emit('emit', data, { key: `emit:${job.id}:${emitted++}` })
          else ctx.outbox.push({ type: 'emit', data, flow: name, step, stepId: job.id })
        },
        async cancel(reason = 'by a step') {
          await engine.cancel(runId, reason)
        },
      }
    }

    function handleOf(name: string): FlowHandle {
      const { entry } = engine.graphOf(name)
      return {
        start(input, { id: runId = kernel.newId() } = {}) {
          const flow = { name, step: entry.step }
          return kernel.enqueue(entry.worker.id, input, { id: instanceId(runId, entry.step), runId, flow })
        },
        cancel: (runId, { reason = 'on request' } = {}) => engine.cancel(runId, reason),
        async status(runId) {
          const info = await kernel.port('events').runs.get(runId)
          if (info?.flow === name) return info
          throw new QueueError(
            'RUN_NOT_FOUND',
            `Flow "${name}" has no run "${runId}". It may not have begun, or have expired.`,
          )
        },
        async result(runId, options) {
          const { type, data } = await kernel.waitFor(runId, 'end', options)
          if (type === 'flow.completed') return (data as { result?: unknown }).result
          if (type === 'flow.cancelled') {
            throw new QueueError('JOB_CANCELLED', `Run ${runId} was cancelled: ${(data as { reason: string }).reason}.`)
          }
          const { step, error } = data as { step: string; error: SerializedError }
          throw Object.assign(new Error(error.message), { name: error.name, step, cause: error })
        },
      }
    }
    kernel.extend({ flow: handleOf })
  },
})

/** What may owe a step or the end of the run. */
const FOLLOWED = new Set(['step.completed', 'step.failed', 'step.cancelled', 'emit'])
