import { z } from 'zod'
import {
  definePlugin,
  isQueueError,
  type EventDraft,
  type Unsubscribe,
  type WorkerDefinition,
} from '../../../kernel/index.ts'
import { createBoundedStream } from '../../lib/bounded-stream.ts'
import { packageVersion } from '../../lib/package-version.ts'
import { factsOf, type InstanceFacts } from './facts.ts'
import { foldInstances, type InstanceInfo } from './fold.ts'
import type { MissingStep } from '../lib/missing-steps.ts'
import { assertNotMoved, waitUntilReady, watchMove } from './moved.ts'
import { createMissingSteps } from './missing-steps.ts'

export type { InstanceFacts, InstanceWorker } from './facts.ts'
export type { InstanceInfo } from './fold.ts'

declare module 'nuxt-queue/kernel' {
  interface Kernel {
    /**
     * Returns the processes that consume from this store, with their workers and the versions of their flows. A process
     * is no longer listed after it has missed three heartbeats.
     *
     * @example
     * for (const { host, pid, workers } of await kernel.instances()) console.log(host, pid, workers.length)
     */
    instances(): Promise<InstanceInfo[]>
  }
}

/** The stream of heartbeats. */
const STREAM = 'registry'
/** How many heartbeats are kept. This is enough for three of each of 300 instances. */
const MAX_HEARTBEATS = 1000

/** Lists the running instances and their workers, and reports steps that open runs need but that a deploy has removed. */
export default definePlugin({
  name: 'instances',
  requires: ['events', 'flow'],
  options: z.strictObject({
    /**
     * Milliseconds between two heartbeats. With 0, this instance sends no heartbeats and does not check for missing
     * steps. Default 60,000.
     */
    heartbeat: z.number().min(0).default(60_000),
    /**
     * What happens if `nuxt-queue migrate` moves the jobs of the store. `refuse`: this process fails to start with `STORE_MOVED`, and
     * closes if the move begins later. `wait`: as `refuse`, but if jobs are still being copied to the store, this process waits until
     * everything has been copied, and starts. `ignore`: it uses the store nevertheless, for example to look at the old one.
     * Default `refuse`.
     */
    moved: z.enum(['refuse', 'wait', 'ignore']).default('refuse'),
  }),
  async setup(kernel, { heartbeat, moved }) {
    const events = kernel.port('events')
    const stopWatching = moved === 'ignore' ? undefined : await enter()
    const stream = createBoundedStream(kernel, MAX_HEARTBEATS)
    kernel.declareStreams?.({ names: () => [STREAM], keep: MAX_HEARTBEATS })
    const checkFlows = createMissingSteps(kernel)
    let self: Pick<InstanceFacts, 'id' | 'version' | 'startedAt'> | undefined
    /** The findings of the last check. Heartbeats repeat the check as long as there are findings. */
    let missing: MissingStep[] = []
    /** The workers of this instance may have changed since its last heartbeat. */
    const current = (one: InstanceInfo): InstanceInfo =>
      self && one.id === self.id ? { ...one, ...factsOf(kernel, self, missing) } : one
    const instances = async (): Promise<InstanceInfo[]> =>
      foldInstances(await stream.newest(STREAM, MAX_HEARTBEATS), kernel.clock.now()).map(current)
    kernel.extend({ instances })
    kernel.flows.onVersions(async (flow) => (await instances()).flatMap(({ flows }) => flows[flow] ?? []))
    if (heartbeat === 0) return stopWatching

    let announced = new Set<WorkerDefinition>()
    /** The last append. Appends wait for each other, so that the newest event is the current one. */
    let appending: Promise<unknown> = Promise.resolve()
    let stop: (() => void) | undefined
    let closed = false

    async function append(type: string): Promise<InstanceFacts> {
      self ??= { id: kernel.newId(), version: packageVersion(), startedAt: kernel.clock.now() }
      const facts = factsOf(kernel, self, missing)
      const event: EventDraft = { type, data: { ...facts, heartbeat } }
      await stream.append(STREAM, event)
      return facts
    }

    /** Looks at the mark after it has begun to watch it, so that no change is missed. */
    async function enter(): Promise<Unsubscribe | undefined> {
      if (moved === 'wait') await waitUntilReady(kernel)
      const failed = (error: unknown): void => kernel.reporter.warn('The mark of the store could not be read.', error)
      const unsubscribe = events.capabilities.shared
        ? await watchMove(events, () => void leaveIfMoved().catch(failed))
        : undefined
      await assertNotMoved(events)
      return unsubscribe
    }

    /** The store may have been marked since the setup. The move looks for instances after it has marked the store. */
    async function leaveIfMoved(): Promise<void> {
      await assertNotMoved(events).catch((error: unknown) => {
        if (!isQueueError(error, 'STORE_MOVED')) throw error
        kernel.reporter.error('This process closes its queues.', error)
        // The close waits for this announcement.
        void kernel.close()
      })
    }

    async function announce(type: string): Promise<void> {
      const { flows } = await append(type)
      if (type === 'worker.registered' && moved !== 'ignore') await leaveIfMoved()
      const isDue = type === 'worker.registered' || (type === 'worker.heartbeat' && missing.length > 0)
      const found = isDue ? await checkFlows(Object.keys(flows), () => closed) : undefined
      if (!found || closed || JSON.stringify(found) === JSON.stringify(missing)) return
      missing = found
      await append('worker.heartbeat')
    }

    /** Appends in the background, without waiting. The next heartbeat replaces a lost one. */
    function appendLater(type: string): void {
      const stopped = type === 'worker.stopped'
      appending = appending
        .then(async () => {
          if (stopped ? self !== undefined : !closed) await announce(type)
        })
        .catch((error: unknown) => {
          if (!closed) kernel.reporter.warn('This instance could not send its heartbeat. It tries again.', error)
        })
    }

    function arm(): void {
      stop = kernel.clock.setTimeout(() => {
        appendLater('worker.heartbeat')
        arm()
      }, heartbeat)
    }

    kernel.onWorkerStart((worker) => {
      if (announced.has(worker)) return
      // One event announces all workers that are about to start together.
      announced = new Set(kernel.registry.workers)
      appendLater('worker.registered')
      if (!stop) arm()
    })

    return async () => {
      stop?.()
      stopWatching?.()
      closed = true
      appendLater('worker.stopped')
      await appending
    }
  },
})
