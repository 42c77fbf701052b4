import type { StoredEvent } from '../../../kernel/index.ts'
import { createBackoff, type BackoffOptions } from './backoff.ts'
import { safely } from './callbacks.ts'
import { createCursor } from './cursor.ts'
import { errorOfProblem, QueueClientError } from './error.ts'
import type { EphemeralMessage, Frame, RequestHeaders, RunEnd } from './frames.ts'
import { readSocket, readSse } from './transports.ts'
import { createWatchdog } from './watchdog.ts'

/** `ended`: the run has. `closed`: by this side. `failed`: the server refuses for good. */
export type SubscriptionStatus = 'connecting' | 'open' | 'reconnecting' | 'ended' | 'closed' | 'failed'

export interface SubscribeOptions {
  /**
   * Where to begin: behind a `seq` of a run, behind a cursor of the stream of everything, or `'now'`. Default: the
   * beginning of a run; what is new of everything.
   */
  after?: number | string
  /** Each event once, in order. A promise holds the next one back. */
  onEvent?(event: StoredEvent): void | Promise<void>
  /** What is stored nowhere: progress, messages to clients. Comes at most once. */
  onMessage?(message: EphemeralMessage): void
  /** The run has ended, and all its events have been delivered. */
  onEnd?(status: RunEnd): void
  /** The stream has failed for good; what passes is told to `onStatus` and mended. */
  onError?(error: QueueClientError): void
  /** @param reason why it reconnects, or failed */
  onStatus?(status: SubscriptionStatus, reason?: QueueClientError): void
  /** Sent with every request. Not with `websocket`, where browsers cannot. */
  headers?: RequestHeaders
  /** Default: the global one. */
  fetch?: typeof fetch
  /** Closes it. */
  signal?: AbortSignal
  /** Milliseconds between reconnections: `min` (default 1,000, or what the server says) doubles up to `max` (default 30,000). */
  backoff?: BackoffOptions
  /** Milliseconds without any sign of life, heartbeats included, after which it reconnects. Default 45,000. */
  silence?: number
  /**
   * Milliseconds for which it tries again, before it has ever been open, when something other than the API responds
   * (a page, a 404 without a code): a proxy does so while a new version is deployed, and so does a wrong URL. Once
   * it has been open the URL is right, and it tries again without end. Default 30,000.
   */
  patience?: number
  /** Default `sse`. */
  transport?: 'sse' | 'websocket'
}

export interface Subscription {
  /** Ends it; nothing is delivered any more. */
  close(): void
  /** Resolves once it is over, however that came. */
  readonly closed: Promise<void>
  /** Where it stands: `after` of a subscription that goes on from here. */
  readonly cursor: number | string | undefined
  readonly status: SubscriptionStatus
  /** Why it failed. */
  readonly error: QueueClientError | undefined
}

/** A connection that has lasted so many milliseconds is a good one. */
const STABLE = 5_000

/**
 * Follows a stream of events, reconnecting from where it stood whenever the connection is lost, until the run
 * ends or the server refuses.
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
    // Whoever delivers something may be asked again at once, however often it was lost before.
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

  /** One connection, until it is lost. */
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
          // Who is busy with an event hears no heartbeat.
          return taken && dog.pausedDuring(taken)
        },
      })
    } catch (thrown) {
      if (lost.signal.aborted) throw new QueueClientError('INTERRUPTED', `Nothing came for ${silence} ms.`)
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
  // Not before the caller has the subscription.
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
