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
import { safely } from './callbacks.ts'
import type { QueueClientError } from './error.ts'
import type { RunEnd } from './frames.ts'
import { createClient, type ClientOptions, type QueueClient } from './rest.ts'
import { createRunView, type ClientMessageView, type LogView, type Progress, type StepView } from './run-view.ts'
import type { Subscription, SubscriptionStatus, SubscribeOptions } from './subscribe.ts'

export type { ClientMessageView, LogView, Progress, StepView } from './run-view.ts'

/** Milliseconds between two updates of what is shown: a frame of a screen. */
const FRAME = 16

export interface QueueStreamOptions
  extends ClientOptions, Pick<SubscribeOptions, 'transport' | 'backoff' | 'silence' | 'patience'> {
  /** How many events, logs, messages and ended steps are kept each, the newest. Default 1,000. */
  limit?: number
}

/** `idle` without a run; `connecting` until something is known of it. */
export type RunStatus = 'idle' | 'connecting' | 'running' | RunEnd

type Read<T> = Readonly<ShallowRef<T>>

export interface QueueStream<S extends object = Record<string, unknown>> {
  /** How the run is. */
  status: Read<RunStatus>
  /** How the connection is. */
  connection: Read<'idle' | SubscriptionStatus>
  /** The newest that the run has told. */
  progress: Read<Progress | undefined>
  steps: Read<readonly StepView[]>
  events: Read<readonly StoredEvent[]>
  logs: Read<readonly LogView[]>
  /** What its handlers have sent with `ctx.client.send`. */
  messages: Read<readonly ClientMessageView[]>
  state: Read<Partial<S>>
  result: Read<unknown>
  /** Why the run failed, or why it cannot be followed. */
  error: Read<SerializedError | QueueClientError | undefined>
  /** Calls back for each message of a type (`'*'`: of any) at once. Answers what takes that back. */
  onMessage(type: string, callback: (data: unknown, message: ClientMessageView) => void): () => void
  /** Cancels the run. False when it had ended. @throws QueueClientError */
  cancel(reason?: string): Promise<boolean>
  /** Follows no longer; what is known stays. */
  close(): void
}

const OPTIONS: InjectionKey<ClientOptions> = Symbol('nuxt-queue')

/**
 * Tells all components below where the API is.
 *
 * @example
 * provideQueue({ baseURL: '/jobs/api/' })
 */
export function provideQueue(options: ClientOptions): void {
  provide(OPTIONS, options)
}

/**
 * The same for a whole application, as a plugin of Vue.
 *
 * @example
 * createApp(App).use(createQueuePlugin({ baseURL: '/jobs/api/' }))
 */
export function createQueuePlugin(options: ClientOptions): Plugin {
  return { install: (app) => void app.provide(OPTIONS, options) }
}

/**
 * A client of the API, where the application says it is.
 *
 * @example
 * const queue = useQueueClient()
 * const { runId } = await queue.flows.start('order', { cart })
 */
export function useQueueClient(options: ClientOptions = {}): QueueClient {
  return createClient({ ...(hasInjectionContext() ? inject(OPTIONS, {}) : {}), ...options })
}

/**
 * Follows a run and shows how it is, from its first event to its end. On a server it does nothing,
 * and is `connecting`. It ends with
 * the component, or effect scope, that it was called in; another run id follows another run.
 *
 * @example
 * const { status, progress, steps } = useQueueStream(() => props.runId)
 */
export function useQueueStream<S extends object = Record<string, unknown>>(
  runId: MaybeRefOrGetter<string | undefined>,
  options: QueueStreamOptions = {},
): QueueStream<S> {
  const { limit = 1_000, transport, backoff, silence, patience, ...own } = options
  const client = useQueueClient(own)
  const view = shallowRef(createRunView(limit).now)
  // The same on a server as in the first moment of a browser, which takes over what the server has rendered.
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
    // However much comes, it is shown once a frame.
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
      onError: (error) => void (failure.value = error),
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
    status: computed(() => view.value.status ?? (connection.value === 'idle' ? 'idle' : 'connecting')),
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
    async cancel(reason) {
      const id = toValue(runId)
      return id !== undefined && (await client.runs.cancel(id, reason)).changed
    },
    close,
  }
}
