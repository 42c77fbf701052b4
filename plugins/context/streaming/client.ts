import type { StandardSchemaV1 } from '@standard-schema/spec'
import { refusal, type PluginKernel, type RunContext } from '../../../kernel/index.ts'
import { copyValue } from '../../lib/value.ts'
import type { Streams } from './api.ts'
import type { ClientOption, ClientSchemas } from './schema.ts'

export interface ClientSendOptions {
  /**
   * Stores the message as an event `client.message` of the run with the data `{ type, data }`. It then has a `seq`, and
   * later clients receive it too. Default: the setting for this type in the worker's `client` option, or else false.
   */
  store?: boolean
}

type Rest<T> = undefined extends T ? [data?: T, options?: ClientSendOptions] : [data: T, options?: ClientSendOptions]

/** Sends messages from a handler to the clients that follow its run. */
export interface ClientChannel<M extends object = Record<string, unknown>> {
  /**
   * Sends a message to all clients that follow the run. Later clients receive it only if it is stored.
   *
   * @throws QueueError `VALIDATION_FAILED`, `VALUE_UNSUPPORTED` or `PAYLOAD_TOO_LARGE`; a stored message also `RUN_ENDED`
   *   or `LEASE_LOST`
   * @example
   * await ctx.client.send('token', { text: 'Once' })
   * await ctx.client.send('answer', { text: 'Once upon a time' }, { store: true })
   */
  send<T extends keyof M & string>(type: T, ...rest: Rest<M[T]>): Promise<void>
  /** Returns whether a client follows the run, in any process. See `Streams.hasSubscribers`. */
  hasSubscribers(): Promise<boolean>
}

/** The types of the messages that a config declares, as `send` accepts them. */
export type ClientMessagesOf<C> = C extends { client: infer O extends ClientOption }
  ? { [T in keyof O]: StandardSchemaV1.InferInput<SchemaOf<O[T]>> }
  : Record<string, unknown>

type SchemaOf<D> = D extends StandardSchemaV1 ? D : D extends { schema: infer S extends StandardSchemaV1 } ? S : never

/** The data of a message of type `client`, as followers of a run receive it. */
export interface ClientMessage {
  jobId: string
  step: string
  type: string
  data: unknown
}

/** The event type of a stored message. */
const STORED = 'client.message'

export function createClientChannel(
  kernel: PluginKernel,
  ctx: RunContext,
  schemas: ClientSchemas,
  streams: Streams,
): ClientChannel {
  const { job, runId } = ctx

  async function send(
    type: string,
    given: unknown,
    { store = schemas.stored(type) }: ClientSendOptions,
  ): Promise<void> {
    const parsed = await schemas.parse(type, given)
    const data = copyValue(parsed, kernel.config.payloadLimit, `client message "${type}"`)
    const step = job.flow?.step ?? job.name
    if (!store) {
      const message: ClientMessage = { jobId: job.id, step, type, data }
      return kernel.port('events').publish(runId, [{ type: 'client', data: message }])
    }
    const origin = { flow: job.flow?.name, step, stepId: job.id, attempt: ctx.attempt }
    const result = await kernel.append(ctx, [{ type: STORED, data: { type, data }, ...origin }])
    if (!result.ok) throw refusal(result.reason, job)
  }

  return {
    send(type, data?, options = {}) {
      const sent = send(type, data, options)
      // Completion waits for messages that the handler does not await. Only the handler sees an error.
      void ctx.track(sent.catch(() => {}))
      return sent
    },
    hasSubscribers: () => streams.hasSubscribers(runId),
  }
}
