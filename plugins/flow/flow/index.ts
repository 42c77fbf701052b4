import { z } from 'zod'
import { definePlugin, QueueError, type EmitPayload, type Job } from '../../../kernel/index.ts'
import { placesOf } from '../lib/flow-places.ts'
import { addLazyMember } from '../../lib/lazy-member.ts'
import { copyValue } from '../../lib/value.ts'
import { createCarrier } from './carry.ts'
import { checkFlowOption } from './check-place.ts'
import { createCheck } from './check.ts'
import { createFlowContext, type FlowContext } from './context.ts'
import { createFlowEngine } from './engine.ts'
import { createForks } from './fork.ts'
import { findUnstarted, runOf, startedEvent, type Begun } from './unstarted.ts'
import { createFlowHandle, type FlowHandle } from './handle.ts'
import { watchLeftRuns } from './left-runs.ts'
import { planNext, type Plan } from './plan.ts'

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
    /** The flow of a name. @throws QueueError `FLOW_UNKNOWN` */
    flow(name: string): FlowHandle
  }
}

/** Runs graphs of workers: entries, and steps that subscribe to what others emit. */
export default definePlugin({
  name: 'flow',
  requires: ['queue', 'events', 'control', 'bus', 'step'],
  options: z.strictObject({
    /** Milliseconds between two looks at runs in which nothing happens; 0 for none. Default one minute. */
    checkInterval: z.number().int().min(0).default(60_000),
    /** Milliseconds in which nothing has happened before a run is looked at. Default five minutes. */
    checkAfter: z.number().int().min(0).default(300_000),
  }),
  workerOptions: { flow: checkFlowOption },
  async setup(kernel, { checkInterval: interval, checkAfter: quiet }) {
    const engine = createFlowEngine(kernel)
    const watch = await createCheck(kernel, engine, { interval, quiet })
    const forks = createForks(kernel, engine)
    const { takeLeft } = watchLeftRuns(kernel, engine)
    const carrier = await createCarrier(kernel, engine, { copy: forks.copy, takeLeft })
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
          throw new QueueError('FLOW_INVALID', `Worker "${worker!.id}" begins several flows. Use ${names}.`)
        }
        const [{ name, step }] = entries as [(typeof entries)[number]]
        const named = (options.id ?? options.once) !== undefined
        job.flow = { name, step: step ?? worker!.id, ...(named && { named }) }
        return next()
      },
      { when: ({ job, worker }) => job.flow === undefined && worker !== undefined && isEntry(worker) },
    )
    kernel.hook(
      'context',
      async ({ job, runId }, next) => {
        const { instances } = await engine.current(runId)
        // Nothing is left of one that has ended, which does not start any more.
        const data = copyValue(instances.get(job.id)?.data, Infinity, `data of job "${job.name}"`)
        Object.assign(job, { data })
        await next()
      },
      { when: ({ job }) => job.flow?.dataInLog === true },
    )
    addLazyMember(kernel, 'flow', (ctx) => createFlowContext(kernel, engine, carrier, ctx))
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
      const unstarted = job || events[0]?.type !== 'step.cancelled' ? undefined : await unstartedBy(payload)
      if (unstarted) begin(payload, unstarted)
      const plan = job && events.at(-1)?.type === 'step.completed' ? planFor(payload, job) : undefined
      await next()
      // Not before: a check that came in between would see no open run, and be the last one.
      if (begins) await watch()
      const { result } = payload
      if (result?.ok) {
        const refused = plan && (await engine.start(stream, engine.graphOf(job!.flow!.name), plan.steps))
        const owes = plan ? plan.needsRun || refused : events.some(({ type }) => FOLLOWED.has(type))
        // What is known already was emitted by an attempt that may have died before the rest was done.
        if (owes) await engine.carryOn(stream, { repair: result.events.length < events.length })
      } else if (starts && result?.reason === 'unless') {
        // A second delivery of a job that has ended: whoever ended it may have died before the rest was done.
        await engine.carryOn(stream, { repair: true })
      }
    }

    /** The entry that is cancelled before it has begun, so that its run has no log yet. */
    async function unstartedBy({ stream, events }: EmitPayload): Promise<Begun | undefined> {
      const { flow, stepId } = events[0]!
      const entry = await findUnstarted(kernel, stream, engine.graphOf(flow!))
      return entry?.id === stepId ? entry : undefined
    }

    function begin({ events, options }: EmitPayload, job: Begun): void {
      events.unshift(startedEvent(engine.graphOf(job.flow!.name), job))
      options.run = runOf(job)
    }

    function planFor({ events }: EmitPayload, job: Job): Plan {
      const plan = planNext(engine.graphOf(job.flow!.name), job, events)
      events.splice(-1, 0, ...plan.closed)
      events.push(...plan.queued)
      return plan
    }

    kernel.extend({ flow: (name: string) => createFlowHandle(kernel, engine, { forks, carrier }, name) })
  },
})

function isEntry(worker: Parameters<typeof placesOf>[0]): boolean {
  return worker.worker.flow !== undefined && placesOf(worker).some(({ role }) => role === 'entry')
}

/** What may owe a step or the end of the run. */
const FOLLOWED = new Set(['step.completed', 'step.failed', 'step.cancelled', 'emit'])
