import { z } from 'zod'
import { definePlugin, type WorkerDefinition } from '../../../kernel/index.ts'
import { addLazyMember } from '../../lib/lazy-member.ts'
import type { Streams } from './api.ts'
import { createClientChannel, type ClientChannel, type ClientMessagesOf } from './client.ts'
import { createHub } from './hub.ts'
import { createClientSchemas, type ClientOption, type ClientSchemas } from './schema.ts'

export type { FollowOptions, StreamFollower, Streams } from './api.ts'
export type { ClientChannel, ClientMessage, ClientSendOptions } from './client.ts'
export type { ClientDeclaration, ClientOption } from './schema.ts'

declare module 'nuxt-queue/kernel' {
  interface WorkerConfig {
    /**
     * The messages that its handler may send to clients, each checked by its schema (any Standard Schema).
     * Default: any.
     *
     * @example
     * client: { token: z.object({ text: z.string() }), answer: { schema: z.string(), store: true } }
     */
    client?: ClientOption
  }
  interface RunContext {
    readonly client: ClientChannel
  }
  interface ConfiguredContext<C> {
    readonly client: ClientChannel<ClientMessagesOf<C>>
  }
  interface Kernel {
    /** What happens in runs, for any number of those who watch. */
    readonly streams: Streams
  }
}

/** Gives handlers `ctx.client`, and the kernel `streams`. */
export default definePlugin({
  name: 'streaming',
  requires: ['events'],
  options: z.strictObject({
    /** Milliseconds that a stream is still followed after its last follower has left. */
    linger: z.number().int().min(0).default(5_000),
  }),
  workerOptions: { client: (_value, worker) => void createClientSchemas(worker) },
  setup(kernel, options) {
    const { streams, close } = createHub(kernel, options)
    const schemas = new WeakMap<WorkerDefinition, ClientSchemas>()

    function schemasOf(worker: WorkerDefinition): ClientSchemas {
      const there = schemas.get(worker) ?? createClientSchemas(worker)
      schemas.set(worker, there)
      return there
    }

    addLazyMember(kernel, 'client', (ctx) => createClientChannel(kernel, ctx, schemasOf(ctx.worker), streams))
    kernel.extend({ streams })
    return close
  },
})
