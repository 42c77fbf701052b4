import type { StandardSchemaV1 } from '@standard-schema/spec'
import { refusal, type PluginKernel, type RunContext } from '../../../kernel/index.ts'
import { copyValue } from '../../lib/value.ts'
import type { Streams } from './api.ts'
import type { ClientOption, ClientSchemas } from './schema.ts'

export interface ClientSendOptions {
  /**
   * Stores the message as an event `client.message` of the run, with data `{ type, data }`: it has a `seq`,
   * and who comes later receives it too. Default: as the worker's `client` option says for the type, else false.
   */
  store?: boolean
}

type Rest<T> = undefined extends T ? [data?: T, options?: ClientSendOptions] : [data: T, options?: ClientSendOptions]

/** What a handler can tell those who watch its run. */
export interface ClientChannel<M extends object = Record<string, unknown>> {
  /**
   * Sends a message of your own to whoever follows the run. Unless it is stored, who comes later does not see it.
   *
   * @throws QueueError `VALIDATION_FAILED`, `VALUE_UNSUPPORTED`, `PAYLOAD_TOO_LARGE`; stored also `RUN_ENDED`, `LEASE_LOST`
   * @example
   * await ctx.client.send('token', { text: 'Once' })
   * await ctx.client.send('answer', { text: 'Once upon a time' }, { store: true })
   */
  send<T extends keyof M & string>(type: T, ...rest: Rest<M[T]>): Promise<void>
  /** Whether anybody follows the run, in whatever process: see `Streams.hasSubscribers`. */
  hasSubscribers(): Promise<boolean>
}

/** What messages a config declares, by type, as they are given to `send`. */
export type ClientMessagesOf<C> = C extends { client: infer O extends ClientOption }
  ? { [T in keyof O]: StandardSchemaV1.InferInput<SchemaOf<O[T]>> }
  : Record<string, unknown>

type SchemaOf<D> = D extends StandardSchemaV1 ? D : D extends { schema: infer S extends StandardSchemaV1 } ? S : never

/** What followers of a run receive as a message of type `client`. */
export interface ClientMessage {
  jobId: string
  step: string
  type: string
  data: unknown
}

/** A stored message is an event of this type. */
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
    const place = { flow: job.flow?.name, step, stepId: job.id, attempt: ctx.attempt }
    const result = await kernel.append(ctx, [{ type: STORED, data: { type, data }, ...place }])
    if (!result.ok) throw refusal(result.reason, job)
  }

  return {
    send(type, data?, options = {}) {
      const sent = send(type, data, options)
      // Completion waits for what a handler does not await; a refusal is the handler's affair.
      void ctx.track(sent.catch(() => {}))
      return sent
    },
    hasSubscribers: () => streams.hasSubscribers(runId),
  }
}
