import { z } from 'zod'
import { definePlugin, type EmitPayload, type Kernel } from '../../../kernel/index.ts'
import { anyFunction, workerOption } from '../../lib/worker-option.ts'
import { awaitOption } from './check-options.ts'
import { createWaitHandler, resolveWebhook } from './webhook.ts'
import { deliverEvents } from './deliver.ts'
import type { CompletionOptions } from './record.ts'
import { createStages } from './stage.ts'
import { TIDY_WORKER, WAIT_QUEUE } from './agenda.ts'
import { createStreams } from './streams.ts'
import { createWaits, type Waits } from './waits.ts'
import { abandonWaits } from './abandon.ts'
import { createWaitList, type OpenWaitInfo, type OpenWaitsQuery } from './list.ts'

export type {
  AwaitEvent,
  AwaitLimits,
  AwaitOptions,
  AwaitPart,
  AwaitRegistration,
  AwaitSchedule,
  AwaitTime,
  AwaitWebhook,
  AwaitResult,
  WaitPage,
} from './options.ts'
/** @deprecated Use `AwaitResult`: this name is one of TypeScript's own. */
export type { AwaitResult as Awaited } from './options.ts'
export type { CompletionOptions } from './record.ts'
export type { OpenWaitInfo, OpenWaitsQuery } from './list.ts'
export type { Waits } from './waits.ts'

declare module 'nuxt-queue/kernel' {
  interface Kernel {
    /** For plugins: waits of jobs, which use neither a process nor a timer. */
    readonly waits: Waits
    /**
     * Resolves a wait for a webhook without HTTP, by the token at the end of its URL.
     *
     * @throws QueueError `WAIT_UNKNOWN`, `OPTION_INVALID`; `WAIT_OVER` when it was already answered, timed out, or its run has ended
     * @example
     * await kernel.resolveWait(url.split('/').at(-1)!, { decision: 'approve' })
     */
    resolveWait(token: string, payload?: unknown, options?: CompletionOptions): Promise<void>
    /**
     * Lists the open waits for events and requests, sorted by their streams, newest first. A job that waits only for a moment is a delayed
     * job instead.
     *
     * @throws QueueError `OPTION_INVALID`
     * @example
     * const { waits, next } = await kernel.openWaits({ limit: 50 })
     */
    openWaits(query?: OpenWaitsQuery): Promise<{ waits: OpenWaitInfo[]; next?: string }>
    /**
     * Completes an open wait of a job without its token: answers its webhook, or sends the event that it waits for. Other waits
     * for the same event and key receive that event as well.
     *
     * @param name the name of the wait, for a job with several. Default: the newest open one
     * @throws QueueError `WAIT_UNKNOWN`, `WAIT_OVER`, `OPTION_INVALID`
     * @example
     * await kernel.completeWait({ runId, jobId }, { decision: 'approve' })
     */
    completeWait(
      job: { runId: string; jobId: string },
      payload?: unknown,
      name?: string,
      options?: CompletionOptions,
    ): Promise<void>
  }
}

const DAY = 24 * 3_600_000

/** Lets jobs wait for moments, events and requests. A waiting job goes back to its queue. */
export default definePlugin({
  name: 'wait',
  requires: ['queue', 'events', 'bus', 'webhooks'],
  options: z.strictObject({
    /** Milliseconds that an event is kept for waits that begin after it. Default one day. */
    keep: z.number().int().min(1000).default(DAY),
    /** For each event, the payload field that is its key when the sender passes none: `{ 'order.paid': 'order.id' }`. */
    keys: z.record(z.string(), z.string()).default({}),
  }),
  workerOptions: {
    awaitBefore: awaitOption('awaitBefore'),
    awaitAfter: awaitOption('awaitAfter'),
    onAwaitRegister: workerOption('onAwaitRegister', anyFunction),
    onAwaitResolve: workerOption('onAwaitResolve', anyFunction),
  },
  async setup(kernel, { keep, keys }) {
    const streams = createStreams(kernel, keep)
    const waits = createWaits(kernel, streams)
    const stages = createStages(kernel, streams, waits)

    await kernel.registerWorker({
      id: TIDY_WORKER,
      config: {
        queue: WAIT_QUEUE,
        concurrency: 10,
        attempts: 50,
        backoff: { type: 'exponential', delay: 500, maxDelay: 60_000 },
      },
      async handler({ data }) {
        const { agenda, stream } = data as { agenda?: string; stream?: string }
        if (agenda !== undefined) await streams.work(agenda)
        if (stream !== undefined) await streams.tidy(stream)
      },
    })
    deliverEvents(kernel, streams, keys)
    kernel.webhooks.route('wait/', createWaitHandler(kernel))
    const resolveWait: Kernel['resolveWait'] = (token, payload, options) =>
      resolveWebhook(kernel, token, payload, options)
    kernel.extend({ waits, resolveWait, ...createWaitList(kernel, streams) })
    kernel.hook('dispatch', stages, {
      when: ({ worker: { worker } }) => worker.awaitBefore !== undefined || worker.awaitAfter !== undefined,
    })
    kernel.hook('emit', (payload, next) => abandonWaits(kernel, streams, waits, payload, next), {
      when: ({ ctx, events }) => (ctx ? waits.pending(ctx) : ENDED.has(events[0]?.type ?? '')),
    })
  },
})

/** Events that end jobs from outside an attempt. Such a job may be waiting. */
const ENDED = new Set<EmitPayload['events'][number]['type']>(['flow.failed', 'flow.cancelled', 'step.cancelled'])
