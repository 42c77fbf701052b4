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
     * The messages that the handler may send to clients, by type. Each is checked with its schema, which is any Standard
     * Schema. Default: every message is allowed.
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
    /** Follows the events and messages of runs. */
    readonly streams: Streams
  }
}

/** Adds `ctx.client` to handlers, and `streams` to the kernel. */
export default definePlugin({
  name: 'streaming',
  requires: ['events'],
  options: z.strictObject({
    /** Milliseconds for which a stream is still read after its last follower has left. Default 5,000. */
    linger: z.number().int().min(0).default(5_000),
  }),
  workerOptions: { client: (_value, worker) => void createClientSchemas(worker) },
  setup(kernel, options) {
    const { streams, close } = createHub(kernel, options)
    const schemas = new WeakMap<WorkerDefinition, ClientSchemas>()

    function schemasOf(worker: WorkerDefinition): ClientSchemas {
      const known = schemas.get(worker) ?? createClientSchemas(worker)
      schemas.set(worker, known)
      return known
    }

    addLazyMember(kernel, 'client', (ctx) => createClientChannel(kernel, ctx, schemasOf(ctx.worker), streams))
    kernel.extend({ streams })
    return close
  },
})
