import type { Job, MaybePromise } from '../../../kernel/index.ts'

/** Waits for a moment: `delay` milliseconds from when the wait begins, or `until`. */
export interface AwaitTime {
  type: 'time'
  delay?: number
  until?: Date | number | ((job: Job) => Date | number)
}

/** Waits for the next moment of a cron expression of five fields, or six with seconds in front. */
export interface AwaitSchedule {
  type: 'schedule'
  cron: string
  /** An IANA name such as `Europe/Berlin`. Default: the system's. */
  timeZone?: string
}

/** Waits for an event that somebody sends with `kernel.sendEvent`. */
export interface AwaitEvent {
  type: 'event'
  event: string
  /**
   * Which of these events: the field of the job's data, such as `order.id`, that the event's payload has
   * to equal in its field of the same name; or a function that answers the key that it has to be sent
   * with. Default: any that was sent without a key.
   */
  match?: string | ((job: Job) => string)
  /** Passes over events that were found by their key and are not meant. */
  filter?: (payload: unknown, job: Job) => boolean
  /** Milliseconds before the start of the run from which on an event counts. Default 0. */
  lookback?: number
}

/** What the page at the URL of a wait says. All of it is shown as text. */
export interface WaitPage {
  /** Default `Your answer, please`. */
  title?: string
  /** Default: that nothing happens until the button is pressed. */
  text?: string
  /** What stands on the button. Default `Confirm`. */
  button?: string
}

/**
 * Waits for an HTTP request to a URL that is made for this wait, and told to `onAwaitRegister`. A POST answers it. Who
 * opens the URL in a browser sees a page with a button, which posts the parameters of the URL.
 *
 * @example
 * awaitBefore: { type: 'webhook', timeout: 86_400_000, page: { title: 'Release the payment?', button: 'Release' } }
 */
export interface AwaitWebhook {
  type: 'webhook'
  /**
   * A GET answers it as well, without a page: for senders that cannot POST. Mail scanners and previews follow links, and
   * would answer it. Default false.
   */
  get?: boolean
  /** What the page says, or a function that makes it of the job. */
  page?: WaitPage | ((job: Job) => WaitPage)
}

export type AwaitPart = AwaitTime | AwaitSchedule | AwaitEvent | AwaitWebhook

export interface AwaitLimits {
  /** Milliseconds to wait at most. Default: as long as it takes. */
  timeout?: number
  /**
   * What follows when the time is up: `fail` fails the step with `WAIT_TIMEOUT`, `continue` goes on
   * as if it had come, with `timedOut` set, `skip` completes the step without running its handler,
   * or, after it, without its emits. Default `fail`.
   */
  timeoutAction?: 'fail' | 'continue' | 'skip'
}

/** One thing, the first of several, or all of them. */
export type AwaitOptions = (AwaitPart | { any: readonly AwaitPart[] } | { all: readonly AwaitPart[] }) & AwaitLimits

/** What came. */
export interface Awaited {
  /** With one, or the first of several, what it brought: the payload of an event, the body of a request. */
  payload?: unknown
  /** With all of several, what each brought, in their order. */
  payloads?: readonly unknown[]
  /** With the first of several, which. */
  index?: number
  timedOut: boolean
}

/** What is told when a wait begins. */
export interface AwaitRegistration {
  /** `before` or `after` the handler. */
  stage: 'before' | 'after'
  /** The URL of a webhook; of several, the first. */
  url?: string
  urls: readonly string[]
  /** Milliseconds since the epoch at which it times out, if it does. */
  until?: number
}

declare module 'nuxt-queue/kernel' {
  interface WorkerConfig {
    /** Waits before the handler runs, which costs neither a process nor a timer. */
    awaitBefore?: AwaitOptions
    /** Waits after the handler, before the step counts as completed and its emits start others. */
    awaitAfter?: AwaitOptions
    /**
     * Called once a wait has begun, at least once. In a worker file an export of this name does the same.
     *
     * @example
     * export const onAwaitRegister = async ({ url }, job) => mail(job.data.boss, `Approve: ${url}`)
     */
    onAwaitRegister?: (registration: AwaitRegistration, job: Job, ctx: RunContext) => MaybePromise<void>
    /** Called once a wait is over, at least once, also when it has timed out. In a worker file an export of this name. */
    onAwaitResolve?: (awaited: Awaited, job: Job, ctx: RunContext) => MaybePromise<void>
  }
  interface RunContext {
    /** What `awaitBefore` has waited for. */
    readonly awaited?: Awaited
  }
}
