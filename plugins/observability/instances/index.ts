import { z } from 'zod'
import { definePlugin, type EventDraft, type WorkerDefinition } from '../../../kernel/index.ts'
import { createBoundedStream } from '../../lib/bounded-stream.ts'
import { packageVersion } from '../../lib/package-version.ts'
import { factsOf, type InstanceFacts } from './facts.ts'
import { foldInstances, type InstanceInfo } from './fold.ts'
import { createMissingSteps } from './missing-steps.ts'

export type { InstanceFacts, InstanceWorker } from './facts.ts'
export type { InstanceInfo } from './fold.ts'

declare module 'nuxt-queue/kernel' {
  interface Kernel {
    /**
     * The processes that consume from this store, with their workers and the versions of their flows. One
     * that has been silent for three heartbeats is gone.
     */
    instances(): Promise<InstanceInfo[]>
  }
}

/** Where instances give signs of life. */
const STREAM = 'registry'
/** How many signs are kept: three of each of 300 instances, and some. */
const KEEP = 1000

/** Tells which instances run which workers, and reports steps that a deploy has taken away from open runs. */
export default definePlugin({
  name: 'instances',
  requires: ['events', 'flow'],
  options: z.strictObject({
    /** Milliseconds between two signs of life. 0: this instance gives none, and looks for no missing steps. Default one minute. */
    heartbeat: z.number().min(0).default(60_000),
  }),
  setup(kernel, { heartbeat }) {
    const stream = createBoundedStream(kernel, KEEP)
    const lookForMissing = createMissingSteps(kernel)
    kernel.extend({
      instances: async () => foldInstances(await stream.newest(STREAM, KEEP), kernel.clock.now()),
    })
    if (heartbeat === 0) return

    let self: Pick<InstanceFacts, 'id' | 'version' | 'startedAt'> | undefined
    let announced = new Set<WorkerDefinition>()
    /** One sign after the other: what is told last is the newest. */
    let telling: Promise<unknown> = Promise.resolve()
    let stop: (() => void) | undefined
    let closed = false

    async function tell(type: string): Promise<void> {
      self ??= { id: kernel.newId(), version: packageVersion(), startedAt: kernel.clock.now() }
      const facts = factsOf(kernel, self)
      const event: EventDraft = { type, data: { ...facts, heartbeat } }
      await stream.append(STREAM, event)
      if (type === 'worker.registered') await lookForMissing(Object.keys(facts.flows), () => closed)
    }

    /** In the background: nobody waits for it, and the next heartbeat makes up for one that was lost. */
    function later(type: string): void {
      const stopped = type === 'worker.stopped'
      telling = telling
        .then(async () => {
          if (stopped ? self !== undefined : !closed) await tell(type)
        })
        .catch((error: unknown) => {
          if (!closed) kernel.reporter.warn('This instance could not give a sign of life; it will try again.', error)
        })
    }

    function arm(): void {
      stop = kernel.clock.setTimeout(() => {
        later('worker.heartbeat')
        arm()
      }, heartbeat)
    }

    kernel.onWorkerStart((worker) => {
      if (announced.has(worker)) return
      // Those that are about to start with it are told in one.
      announced = new Set(kernel.registry.workers)
      later('worker.registered')
      if (!stop) arm()
    })

    return async () => {
      stop?.()
      closed = true
      later('worker.stopped')
      await telling
    }
  },
})
