import type { StoredEvent } from '../../../kernel/index.ts'
import { createBackoff, type BackoffOptions } from './backoff.ts'
import { safely } from './callbacks.ts'
import { createCursor } from './cursor.ts'
import { errorOfProblem, QueueClientError } from './error.ts'
import type { EphemeralMessage, Frame, RequestHeaders, RunEnd } from './frames.ts'
import { readSocket, readSse } from './transports.ts'
import { createWatchdog } from './watchdog.ts'

/** The status. `ended`: the run ended. `closed`: the client closed it. `failed`: a reconnection cannot fix the error. */
export type SubscriptionStatus = 'connecting' | 'open' | 'reconnecting' | 'ended' | 'closed' | 'failed'

export interface SubscribeOptions {
  /**
   * The position after which events are delivered: a `seq` of a run, a cursor of the stream of all runs, or `'now'`.
   * Default: the beginning of a run; for the stream of all runs, `'now'`.
   */
  after?: number | string
  /** Called for each event once and in order. A returned promise delays the next event. */
  onEvent?(event: StoredEvent): void | Promise<void>
  /** Called at most once for each message that is not stored: progress and messages to clients. */
  onMessage?(message: EphemeralMessage): void
  /** Called when the run has ended and all its events have been delivered. */
  onEnd?(status: RunEnd): void
  /** Called when the subscription has failed. `onStatus` receives temporary errors, and the client reconnects. */
  onError?(error: QueueClientError): void
  /** @param reason why the subscription reconnects or has failed */
  onStatus?(status: SubscriptionStatus, reason?: QueueClientError): void
  /** The headers of every request. `websocket` does not support them, because browsers cannot send them. */
  headers?: RequestHeaders
  /** The function that sends requests. Default: the global `fetch`. */
  fetch?: typeof fetch
  /** A signal that closes the subscription. */
  signal?: AbortSignal
  /** Milliseconds between reconnections. They double from `min` (1,000, or the server's value) to `max` (30,000). */
  backoff?: BackoffOptions
  /** Milliseconds without data or heartbeats after which the client reconnects. Default 45,000. */
  silence?: number
  /**
   * Milliseconds during which the client retries the first connection if something other than the API responds, with a
   * page or with a 404 without a code. A proxy does this while a new version is deployed, and a wrong URL does too. After
   * the first connection, the URL is known to be right, and the client retries without a limit. Default 30,000.
   */
  patience?: number
  /** The transport. Default `sse`. */
  transport?: 'sse' | 'websocket'
}

export interface Subscription {
  /** Closes the subscription. No more events are delivered. */
  close(): void
  /** Resolves when the subscription is over for any reason. */
  readonly closed: Promise<void>
  /** The current position, which another subscription can use as `after`. */
  readonly cursor: number | string | undefined
  readonly status: SubscriptionStatus
  /** Why the subscription failed. */
  readonly error: QueueClientError | undefined
}

/** After this many milliseconds a connection counts as successful, which resets the backoff. */
const STABLE = 5_000

/**
 * Follows a stream of events until the run ends or the server refuses. If the connection is lost, the client reconnects
 * and continues after the last event.
 *
 * @example
 * const run = subscribe('/_queue/api/runs/42/stream', { onEvent: (event) => console.log(event.type) })
 * await run.closed
 */
export function subscribe(url: string, options: SubscribeOptions = {}): Subscription {
  const { headers, transport = 'sse', silence = 45_000, patience = 30_000, signal } = options
  const cursor = createCursor(options.after)
  const backoff = createBackoff(options.backoff)
  const closing = new AbortController()
  let status: SubscriptionStatus = 'connecting'
  let error: QueueClientError | undefined
  let over = false
  let wasOpen = false
  let strangeSince: number | undefined

  function change(to: SubscriptionStatus, reason?: QueueClientError): void {
    status = to
    void safely(() => options.onStatus?.(to, reason))
  }

  function finish(to: 'ended' | 'closed' | 'failed', reason?: QueueClientError): void {
    if (over) return
    over = true
    error = reason
    signal?.removeEventListener('abort', close)
    change(to, reason)
    if (reason) void safely(() => options.onError?.(reason))
    closing.abort()
  }
  const close = (): void => finish('closed')

  function take(frame: Frame): void | Promise<void> {
    if (over) return undefined
    // A connection that delivered events resets the backoff, so the client reconnects quickly.
    backoff.reset()
    switch (frame.kind) {
      case 'event':
        return cursor.pass(frame.event, frame.id) ? safely(() => options.onEvent?.(frame.event)) : undefined
      case 'ephemeral':
        return void safely(() => options.onMessage?.(frame.message))
      case 'cursor':
        return cursor.move(frame.id)
      case 'end':
        finish('ended')
        return void safely(() => options.onEnd?.(frame.status))
      case 'failure':
        return finish('failed', errorOfProblem(frame.problem))
      case 'ping':
        return undefined
    }
  }

  /** Runs a connection until it is lost. */
  async function connect(): Promise<void> {
    let opened = Infinity
    const lost = new AbortController()
    const dog = createWatchdog(silence, () => lost.abort())
    const read = transport === 'sse' ? readSse : readSocket
    try {
      await read({
        url: cursor.applyTo(url),
        headers,
        fetch: options.fetch ?? fetch,
        signal: AbortSignal.any([closing.signal, lost.signal]),
        onOpen() {
          opened = Date.now()
          wasOpen = true
          if (!over) change('open')
        },
        onAlive() {
          dog.pat()
          if (Date.now() - opened > STABLE) backoff.reset()
        },
        onRetry: backoff.startAt,
        onFrame(frame) {
          const taken = take(frame)
          // No heartbeat is read while a callback handles an event.
          return taken && dog.pausedDuring(taken)
        },
      })
    } catch (thrown) {
      if (lost.signal.aborted) throw new QueueClientError('INTERRUPTED', `The server sent nothing for ${silence} ms.`)
      throw thrown
    } finally {
      dog.stop()
    }
    throw new QueueClientError('INTERRUPTED', 'The server closed the stream.')
  }

  function mayPass(reason: QueueClientError): boolean {
    if (!reason.foreign) strangeSince = undefined
    if (!reason.foreign || wasOpen) return reason.foreign || reason.passing
    strangeSince ??= Date.now()
    return Date.now() - strangeSince < patience
  }

  async function run(): Promise<void> {
    while (!over) {
      try {
        await connect()
      } catch (thrown) {
        if (over) return
        const reason = asClientError(thrown)
        if (!mayPass(reason)) return finish('failed', reason)
        change('reconnecting', reason)
        await backoff.wait(closing.signal, reason.retryAfter)
      }
    }
  }

  signal?.addEventListener('abort', close)
  const invalid = refusal(options)
  // Starts after the caller has received the subscription.
  const closed = Promise.resolve().then(() => {
    if (invalid) return finish('failed', invalid)
    if (signal?.aborted) return close()
    return run()
  })
  return {
    close,
    closed,
    get cursor() {
      return cursor.value
    },
    get status() {
      return status
    },
    get error() {
      return error
    },
  }
}

function refusal({ transport, headers }: SubscribeOptions): QueueClientError | undefined {
  if (transport !== 'websocket' || headers === undefined) return undefined
  const hint = 'Authenticate by cookie, or use the transport "sse".'
  return new QueueClientError('OPTION_INVALID', `A WebSocket cannot send "headers". ${hint}`)
}

function asClientError(thrown: unknown): QueueClientError {
  if (thrown instanceof QueueClientError) return thrown
  return new QueueClientError('INTERRUPTED', thrown instanceof Error ? thrown.message : String(thrown), {
    cause: thrown,
  })
}
