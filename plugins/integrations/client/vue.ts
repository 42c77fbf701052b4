import {
  computed,
  getCurrentScope,
  hasInjectionContext,
  inject,
  onScopeDispose,
  provide,
  shallowRef,
  toValue,
  watch,
  type InjectionKey,
  type MaybeRefOrGetter,
  type Plugin,
  type ShallowRef,
} from 'vue'
import type { SerializedError, StoredEvent } from '../../../kernel/index.ts'
import type { MessageInput, MessageName, MessageResult } from '../../flow/lib/run-message-types.ts'
import { safely } from './callbacks.ts'
import { QueueClientError } from './error.ts'
import type { RunEnd } from './frames.ts'
import { createClient, type ClientOptions, type QueueClient } from './rest.ts'
import { createRunView, type ClientMessageView, type LogView, type Progress, type StepView } from './run-view.ts'
import type { Subscription, SubscriptionStatus, SubscribeOptions } from './subscribe.ts'

export type { ClientMessageView, LogView, Progress, StepView } from './run-view.ts'

/** Milliseconds between two updates, the duration of one frame of a screen. */
const FRAME = 16

export interface QueueStreamOptions
  extends ClientOptions, Pick<SubscribeOptions, 'transport' | 'backoff' | 'silence' | 'patience'> {
  /** How many of the newest events, logs, messages and ended steps are kept. Default 1,000 each. */
  limit?: number
}

/**
 * The status of a run. It is `idle` without a run, `connecting` until the first event arrives, and `error` when the client
 * cannot follow the run any more, for example because the server refuses it.
 */
export type RunStatus = 'idle' | 'connecting' | 'running' | RunEnd | 'error'

type Read<T> = Readonly<ShallowRef<T>>

export interface QueueStream<S extends object = Record<string, unknown>, F extends string = string> {
  /** The status of the run. */
  status: Read<RunStatus>
  /** The status of the connection. */
  connection: Read<'idle' | SubscriptionStatus>
  /** The newest progress of the run. */
  progress: Read<Progress | undefined>
  steps: Read<readonly StepView[]>
  events: Read<readonly StoredEvent[]>
  logs: Read<readonly LogView[]>
  /** The messages that its handlers sent with `ctx.client.send`. */
  messages: Read<readonly ClientMessageView[]>
  state: Read<Partial<S>>
  result: Read<unknown>
  /** Why the run failed, or why the client cannot follow it. */
  error: Read<SerializedError | QueueClientError | undefined>
  /** Calls back for each message of a type, or of any type with `'*'`. Returns a function that removes the callback. */
  onMessage(type: string, callback: (data: unknown, message: ClientMessageView) => void): () => void
  /** Computes a query of the run. @throws QueueClientError */
  query<const N extends MessageName<F, 'queries'>>(
    name: N,
    ...input: MessageInput<F, 'queries', N>
  ): Promise<MessageResult<F, 'queries', N>>
  /** Changes the run with one of its updates, and returns the response. @throws QueueClientError such as `UPDATE_REFUSED` */
  update<const N extends MessageName<F, 'updates'>>(
    name: N,
    ...input: MessageInput<F, 'updates', N>
  ): Promise<MessageResult<F, 'updates', N>>
  /** Sends a signal to the run. @throws QueueClientError */
  signal(name: string, payload?: unknown): Promise<void>
  /** Cancels the run. Resolves to false if it had ended. @throws QueueClientError */
  cancel(reason?: string): Promise<boolean>
  /** Stops following the run and keeps the current values. */
  close(): void
}

const OPTIONS: InjectionKey<ClientOptions> = Symbol('nuxt-queue')

/**
 * Sets the address of the API for all child components.
 *
 * @example
 * provideQueue({ baseURL: '/jobs/api/' })
 */
export function provideQueue(options: ClientOptions): void {
  provide(OPTIONS, options)
}

/**
 * Returns a Vue plugin that sets the address of the API for a whole application.
 *
 * @example
 * createApp(App).use(createQueuePlugin({ baseURL: '/jobs/api/' }))
 */
export function createQueuePlugin(options: ClientOptions): Plugin {
  return { install: (app) => void app.provide(OPTIONS, options) }
}

/**
 * Returns a client of the API, at the address that the application has set.
 *
 * @example
 * const queue = useQueueClient()
 * const { runId } = await queue.flows.start('order', { cart })
 */
export function useQueueClient(options: ClientOptions = {}): QueueClient {
  return createClient({ ...(hasInjectionContext() ? inject(OPTIONS, {}) : {}), ...options })
}

/**
 * Follows a run from its first event to its end, and returns its current values. If the run id changes, it follows the
 * new run. It stops with the component, or the effect scope, that called it. On a server it does not connect, and its
 * status is `connecting`.
 *
 * @example
 * const { status, progress, steps } = useQueueStream(() => props.runId)
 * const { query, update } = useQueueStream<OrderState, 'order'>(() => props.runId) // typed by the flow `order`
 */
export function useQueueStream<S extends object = Record<string, unknown>, F extends string = string>(
  runId: MaybeRefOrGetter<string | undefined>,
  options: QueueStreamOptions = {},
): QueueStream<S, F> {
  const { limit = 1_000, transport, backoff, silence, patience, ...own } = options
  const client = useQueueClient(own)
  const view = shallowRef(createRunView(limit).now)
  // The initial value is the same on the server and in the browser, which hydrates the rendered page.
  const connection = shallowRef<'idle' | SubscriptionStatus>(toValue(runId) === undefined ? 'idle' : 'connecting')
  const failure = shallowRef<QueueClientError>()
  const callbacks = new Set<{ type: string; callback: (data: unknown, message: ClientMessageView) => void }>()
  let stop: (() => void) | undefined

  function start(id: string | undefined): void {
    stop?.()
    stop = undefined
    const fold = createRunView(limit)
    view.value = fold.now
    failure.value = undefined
    connection.value = id === undefined ? 'idle' : 'connecting'
    if (id === undefined) return
    let timer: ReturnType<typeof setTimeout> | undefined
    // The view updates at most once a frame.
    const show = (): void => {
      timer = undefined
      view.value = fold.now
    }
    const changed = (message?: ClientMessageView): void => {
      timer ??= setTimeout(show, FRAME)
      if (message) tell(message)
    }
    const subscription: Subscription = client.runs.stream(id, {
      ...{ transport, backoff, silence, patience },
      after: 0,
      onEvent: (event) => changed(fold.event(event)),
      onMessage: (message) => changed(fold.message(message)),
      onEnd(outcome) {
        fold.end(outcome)
        flush()
      },
      onError(error) {
        failure.value = error
        console.warn(`[nuxt-queue] The run ${id} cannot be followed: ${error.message}`)
      },
      onStatus: (now) => void (connection.value = now),
    })
    function flush(): void {
      clearTimeout(timer)
      show()
    }
    stop = () => {
      if (timer) flush()
      subscription.close()
    }
  }

  function tell(message: ClientMessageView): void {
    for (const { type, callback } of callbacks) {
      if (type === '*' || type === message.type) void safely(() => callback(message.data, message))
    }
  }

  /** Returns the id of the run. */
  function known(): string {
    const id = toValue(runId)
    if (id !== undefined) return id
    throw new QueueClientError('RUN_NOT_FOUND', 'There is no run yet. Wait until the run id is known.')
  }

  const close = (): void => {
    stop?.()
    stop = undefined
  }
  if ('window' in globalThis) {
    watch(() => toValue(runId), start, { immediate: true })
    if (getCurrentScope()) onScopeDispose(close)
  }

  const part = <K extends keyof (typeof view)['value']>(name: K) => computed(() => view.value[name])
  return {
    status: computed(() => {
      if (failure.value) return 'error'
      return view.value.status ?? (connection.value === 'idle' ? 'idle' : 'connecting')
    }),
    connection,
    progress: part('progress'),
    steps: part('steps'),
    events: part('events'),
    logs: part('logs'),
    messages: part('messages'),
    state: computed(() => view.value.state as Partial<S>),
    result: part('result'),
    error: computed(() => view.value.error ?? failure.value),
    onMessage(type, callback) {
      const entry = { type, callback }
      callbacks.add(entry)
      return () => void callbacks.delete(entry)
    },
    query: async (name, ...[input]) => client.runs.query<never>(known(), name, input),
    update: async (name, ...[input]) => client.runs.update<never>(known(), name, input),
    async signal(name, payload) {
      await client.runs.signal(known(), name, payload)
    },
    async cancel(reason) {
      const id = toValue(runId)
      return id !== undefined && (await client.runs.cancel(id, reason)).changed
    },
    close,
  }
}
