import { z } from 'zod'
import { definePlugin, QueueError, type EmitPayload, type Job } from '../../../kernel/index.ts'
import type { FlowAccess } from '../lib/flow-access.ts'
import { placesOf } from '../lib/flow-places.ts'
import { addLazyMember } from '../../lib/lazy-member.ts'
import { copyValue } from '../../lib/value.ts'
import { createFlowAccess } from './access.ts'
import { createAdvancer } from './advancer.ts'
import { checkFlowOption } from './check-options.ts'
import { createCheck } from './check.ts'
import { createFlowContext, type FlowContext } from './context.ts'
import { createFlowEngine } from './engine.ts'
import { createForks } from './fork.ts'
import { findUnstarted, runPatchOf, startedEvent, type Begun } from './unstarted.ts'
import { createFlowHandle, type FlowHandle } from './handle.ts'
import { watchLeftRuns } from './left-runs.ts'
import { createPins } from './pins.ts'
import { planNext, type Plan } from './plan.ts'

export type { FlowAccess, RunPosition } from '../lib/flow-access.ts'
export type { FlowContext } from './context.ts'
export type { OpenGather, OpenJob, OpenJoin, RunExplanation } from './explain.ts'
export type { ForkedRun, ForkOptions, RerunOptions } from './fork.ts'
export type { FlowHandle, StartOptions } from './handle.ts'
export type { FlowOptions } from './options.ts'

declare module 'nuxt-queue/kernel' {
  interface RunContext {
    readonly flow: FlowContext
  }
  interface Kernel {
    /** Returns the flow with a name. @throws QueueError `FLOW_UNKNOWN` */
    flow<const F extends string>(name: F): FlowHandle<F>
  }
  /** Methods that plugins add to the handle of flow `F`. */
  interface FlowMethods<F extends string = string> {
    /** Never set. Uses the type parameter, as merged declarations require. */
    readonly '~flow'?: F
  }
  interface PluginKernel {
    /** Flows and their runs, for other plugins. */
    readonly flows: FlowAccess
  }
}

/** Runs graphs of workers: entries, and steps that subscribe to the events of other steps. */
export default definePlugin({
  name: 'flow',
  requires: ['queue', 'events', 'control', 'bus', 'step'],
  options: z.strictObject({
    /** Milliseconds between two checks for stalled runs; 0 disables them. Default one minute. */
    checkInterval: z.number().int().min(0).default(60_000),
    /** Milliseconds without activity after which a run is checked. Default five minutes. */
    checkAfter: z.number().int().min(0).default(300_000),
  }),
  workerOptions: { flow: checkFlowOption },
  async setup(kernel, { checkInterval: interval, checkAfter: quiet }) {
    const engine = createFlowEngine(kernel)
    const pins = createPins(kernel, engine)
    const watch = await createCheck(kernel, engine, pins, { interval, quiet })
    const forks = createForks(kernel, engine)
    const { takeLeft } = watchLeftRuns(kernel, engine)
    const advancer = await createAdvancer(kernel, engine, { copy: forks.copy, takeLeft, pins })
    kernel.onWorkerStart((worker) => {
      engine.forgetGraphs()
      for (const { name, role } of placesOf(worker)) if (role === 'entry') engine.graphOf(name)
    })

    kernel.hook(
      'enqueue',
      ({ job, worker, options }, next) => {
        const entries = placesOf(worker!).filter(({ role }) => role === 'entry')
        if (entries.length > 1) {
          const names = entries.map(({ name }) => `kernel.flow('${name}').start()`).join(' or ')
          const what = `Worker "${worker!.id}" is the entry of several flows, so enqueue() cannot choose one.`
          throw new QueueError('FLOW_INVALID', `${what} Use ${names}.`)
        }
        const [{ name, step }] = entries as [(typeof entries)[number]]
        const named = (options.id ?? options.once) !== undefined
        const { pin } = engine.graphOf(name)
        job.flow = { name, step: step ?? worker!.id, ...(named && { named }), ...(pin && { pin }) }
        return next()
      },
      { when: ({ job, worker }) => job.flow === undefined && worker !== undefined && isEntry(worker) },
    )
    kernel.hook(
      'context',
      async ({ job, runId }, next) => {
        const { instances } = await engine.current(runId)
        // A job that has ended has no data any more, but it never starts again.
        const data = copyValue(instances.get(job.id)?.data, Infinity, `data of job "${job.name}"`)
        Object.assign(job, { data })
        await next()
      },
      { when: ({ job }) => job.flow?.dataInLog === true },
    )
    addLazyMember(kernel, 'flow', (ctx) => createFlowContext(kernel, engine, advancer, ctx))
    kernel.hook('emit', emitInFlow, {
      when: ({ ctx, stream, events }) =>
        ctx ? ctx.job.flow !== undefined : events[0]?.flow !== undefined && !engine.isAppending(stream),
    })

    async function emitInFlow(payload: EmitPayload, next: () => unknown): Promise<void> {
      const { ctx, stream, events } = payload
      const starts = events[0]?.type === 'step.started'
      const job = ctx?.job
      const begins = starts && job?.flow !== undefined && job.flow.cause === undefined
      if (begins) begin(payload, job)
      if (job?.flow!.pin) pins.record(payload)
      const unstarted = job || events[0]?.type !== 'step.cancelled' ? undefined : await unstartedBy(payload)
      if (unstarted) begin(payload, unstarted)
      const plan = job && events.at(-1)?.type === 'step.completed' ? planFor(payload, job) : undefined
      await next()
      // Only after the write: an earlier check could see no open run, and would then schedule no further check.
      if (begins) await watch()
      const { result } = payload
      if (result?.ok) {
        const refused = plan && (await engine.start(stream, engine.graphOf(job!.flow!.name), plan.steps))
        const mustAdvance = plan ? plan.needsRun || refused : events.some(({ type }) => FOLLOWED.has(type))
        // If some events were stored before, an earlier attempt may have died before it finished the follow-up.
        if (mustAdvance) await advance(stream, job, { repair: result.events.length < events.length })
      } else if (starts && result?.reason === 'unless') {
        // A second delivery of a job that has ended: the process that ended it may have died before the follow-up.
        await advance(stream, job, { repair: true })
      }
    }

    const advance = (runId: string, job: Job | undefined, options: { repair: boolean }): Promise<void> =>
      (job && !job.flow!.pin ? engine : advancer).advance(runId, options)

    /** Returns an entry that is cancelled before it has begun. Its run has no log yet. */
    async function unstartedBy({ stream, events }: EmitPayload): Promise<Begun | undefined> {
      const { flow, stepId } = events[0]!
      const entry = await findUnstarted(kernel, stream, engine.graphOf(flow!))
      return entry?.id === stepId ? entry : undefined
    }

    function begin({ events, options }: EmitPayload, job: Begun): void {
      events.unshift(startedEvent(engine.graphOf(job.flow!.name), job))
      options.run = runPatchOf(job)
    }

    function planFor({ events }: EmitPayload, job: Job): Plan {
      const plan = planNext(engine.graphOf(job.flow!.name), job, events)
      events.splice(-1, 0, ...plan.closed)
      events.push(...plan.queued)
      return plan
    }

    const { access, methodsOf } = createFlowAccess(kernel, engine, advancer, pins)
    kernel.share({ flows: access })
    function flowOf<F extends string>(name: F): FlowHandle<F> {
      const own = createFlowHandle(kernel, engine, { forks, advancer }, name)
      return Object.assign(methodsOf(name), own) as FlowHandle as FlowHandle<F>
    }
    kernel.extend({ flow: flowOf })
  },
})

function isEntry(worker: Parameters<typeof placesOf>[0]): boolean {
  return worker.worker.flow !== undefined && placesOf(worker).some(({ role }) => role === 'entry')
}

/** Events after which a step may have to start, or the run to end. */
const FOLLOWED = new Set(['step.completed', 'step.failed', 'step.cancelled', 'emit'])
