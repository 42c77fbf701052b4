import { z } from 'zod'
import { definePlugin } from '../../kernel/index.ts'
import { addLazyMember } from '../_shared/lazy-member.ts'
import { copyValue } from '../_shared/value.ts'
import type { Streams } from './api.ts'
import { createHub } from './hub.ts'

export type { FollowOptions, StreamFollower, Streams } from './api.ts'

/** What a handler can tell those who watch its run. */
export interface ClientChannel {
  /**
   * Sends a message of your own to whoever follows the run right now. Not stored: who comes later does not
   * see it.
   *
   * @throws QueueError `VALUE_UNSUPPORTED`, `PAYLOAD_TOO_LARGE`
   * @example
   * await ctx.client.send('token', { text: 'Once' })
   */
  send(type: string, data?: unknown): Promise<void>
}

declare module 'nuxt-queue/kernel' {
  interface RunContext {
    readonly client: ClientChannel
  }
  interface Kernel {
    /** What happens in runs, for any number of those who watch. */
    readonly streams: Streams
  }
}

/** What followers of a run receive as a message of type `client`. */
export interface ClientMessage {
  jobId: string
  step: string
  type: string
  data: unknown
}

/** Gives handlers `ctx.client`, and the kernel `streams`. */
export default definePlugin({
  name: 'streaming',
  requires: ['events'],
  options: z.strictObject({
    /** Milliseconds that a stream is still followed after its last follower has left. */
    linger: z.number().int().min(0).default(5_000),
  }),
  setup(kernel, options) {
    const hub = createHub(kernel, options)
    kernel.extend({ streams: hub.streams })
    addLazyMember(kernel, 'client', ({ job, runId }) => ({
      async send(type, data) {
        const copy = copyValue(data, kernel.config.payloadLimit, `client message "${type}"`)
        const message: ClientMessage = { jobId: job.id, step: job.flow?.step ?? job.name, type, data: copy }
        await kernel.port('events').publish(runId, [{ type: 'client', data: message }])
      },
    }))
    return hub.close
  },
})
