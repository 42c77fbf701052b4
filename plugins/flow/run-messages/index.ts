import { z } from 'zod'
import { checkKeys, checkText, definePlugin, fitText, QueueError, type EnqueuedJob } from '../../../kernel/index.ts'
import { assertDistinct, checkMessages, listMessages, type MessageInfo } from './declared.ts'
import { createQueries } from './queries.ts'
import { createRunStates } from './run-state.ts'
import type { MessageInput, MessageName, MessageResult } from '../lib/run-message-types.ts'
import { createUpdates, type UpdateOptions } from './updates.ts'

export type { MessageInfo } from './declared.ts'
export type {
  AnyCheck,
  AnyQuery,
  AnyUpdate,
  InputView,
  QueryContext,
  QueryDefinition,
  QueryOption,
  StateView,
  UpdateCheck,
  UpdateContext,
  UpdateDefinition,
} from './options.ts'
export type { MessageInput, MessageName, MessageResult } from '../lib/run-message-types.ts'
export type { UpdateOptions } from './updates.ts'

export interface SignalOptions {
  /** Sending the same id twice has the effect of sending it once. Default: a new id. */
  id?: string
  /** Text that travels with the signal, by name, like the headers of a job. Default: none. */
  headers?: Readonly<Record<string, string>>
}

declare module 'nuxt-queue/kernel' {
  interface FlowMethods<F extends string = string> {
    /**
     * Asks a run a question: computes one of the `queries` of its workers from the state of the run. This process computes the response, so
     * no worker has to run, and the run may have ended.
     *
     * @throws QueueError `QUERY_UNKNOWN`, `QUERY_FAILED`, `RUN_NOT_FOUND`, `VALIDATION_FAILED`
     * @example
     * const total = await kernel.flow('order').query(runId, 'total')
     */
    query<const N extends MessageName<F, 'queries'>>(
      runId: string,
      name: N,
      ...input: MessageInput<F, 'queries', N>
    ): Promise<MessageResult<F, 'queries', N>>
    /**
     * Changes a run: one of the `updates` of its workers validates the input, changes the run, and returns a response. All changes are stored
     * in one write. A refused update leaves nothing in the history of the run.
     *
     * @throws QueueError `UPDATE_UNKNOWN`, `UPDATE_REFUSED`, `UPDATE_FAILED`, `RUN_NOT_FOUND`, `RUN_ENDED`, `VALIDATION_FAILED`,
     * `EVENTS_CONFLICT`
     * @example
     * await kernel.flow('order').update(runId, 'address', { street: 'Main St 1' }, { id: requestId })
     */
    update<const N extends MessageName<F, 'updates'>>(
      runId: string,
      name: N,
      ...call: UpdateArguments<MessageInput<F, 'updates', N>>
    ): Promise<MessageResult<F, 'updates', N>>
    /**
     * Sends an event to one run, where `ctx.step.waitForSignal` receives it. It has the effect of `kernel.sendEvent(name, payload)` with
     * the id of the run as `key`, but throws if the run does not exist or has ended.
     *
     * @throws QueueError `RUN_NOT_FOUND`, `RUN_ENDED`, `NAME_RESERVED`, `OPTION_INVALID`
     * @example
     * await kernel.flow('order').signal(runId, 'approved', { by: 'Ada' })
     */
    signal(runId: string, name: string, payload?: unknown, options?: SignalOptions): Promise<EnqueuedJob>
    /** Lists the queries and updates that the workers of the flow declare in this process. */
    messages(): { queries: MessageInfo[]; updates: MessageInfo[] }
  }
}

type UpdateArguments<Input extends readonly unknown[]> = Input extends readonly [input: infer I]
  ? [input: I, options?: UpdateOptions]
  : [input?: Input[0], options?: UpdateOptions]

/** Queries, updates and signals of running flows. */
export default definePlugin({
  name: 'run-messages',
  requires: ['events', 'state', 'flow', 'bus', 'wait'],
  configKey: 'runMessages',
  options: z.strictObject({
    /** Milliseconds that a query, a validator or the handler of an update may take. Default 5,000. */
    timeout: z.number().int().min(1).default(5000),
  }),
  workerOptions: { queries: checkMessages('queries'), updates: checkMessages('updates') },
  setup(kernel, { timeout }) {
    const { flows } = kernel
    const options = { states: createRunStates(kernel), timeout }
    const query = createQueries(kernel, flows, options)
    const update = createUpdates(kernel, flows, options)
    kernel.onWorkerStart((worker) => assertDistinct(kernel, worker))

    async function signal(flow: string, ...[runId, name, payload, given = {}]: SignalCall): Promise<EnqueuedJob> {
      checkText('The name of a signal', name)
      checkKeys(`Signal "${name}"`, given, ['id', 'headers'])
      const status = await flows.statusOf(flow, runId)
      if (status !== 'running') {
        const message = `Run ${runId} is ${status}, so it takes no signal "${name}".`
        throw new QueueError('RUN_ENDED', message, { retryable: false })
      }
      const { id, headers } = given
      const once =
        id === undefined ? {} : { id: fitText(`${runId}.${checkText(`Option "id" of signal "${name}"`, id)}`) }
      return kernel.sendEvent(name, payload, { key: fitText(runId), ...once, ...(headers && { headers }) })
    }

    flows.addMethods((flow) => ({
      query: (runId, name, ...[input]) => query(flow, runId, name, input),
      update: (runId, name, ...[input, call]) => update(flow, runId, name, input, call),
      signal: (...call) => signal(flow, ...call),
      messages: () => ({
        queries: listMessages(flows, 'queries', flow),
        updates: listMessages(flows, 'updates', flow),
      }),
    }))
  },
})

type SignalCall = [runId: string, name: string, payload?: unknown, options?: SignalOptions]
