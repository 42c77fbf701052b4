import type { Job, MaybePromise } from '../../../kernel/index.ts'

/** Waits for a moment: `delay` milliseconds after the wait begins, or `until`. */
export interface AwaitTime {
  type: 'time'
  delay?: number
  until?: Date | number | ((job: Job) => Date | number)
}

/** Waits for the next moment of a cron expression of five fields, or six with seconds in front. */
export interface AwaitSchedule {
  type: 'schedule'
  cron: string
  /** An IANA name such as `Europe/Berlin`. Default: the time zone of the system. */
  timeZone?: string
}

/** Waits for an event that is sent with `kernel.sendEvent`. */
export interface AwaitEvent {
  type: 'event'
  event: string
  /**
   * Selects among these events: a field such as `order.id` that must be equal in the job's data and the event's payload, or a function that
   * returns the key of the event. Default: any event that was sent without a key.
   */
  match?: string | ((job: Job) => string)
  /** Returns false for events with a matching key that should be ignored. */
  filter?: (payload: unknown, job: Job) => boolean
  /** Milliseconds before the start of the run. Events from that moment on count. Default 0. */
  lookback?: number
}

/** The texts of the page at the URL of a wait. HTML in them is escaped. */
export interface WaitPage {
  /** Default `Your answer, please`. */
  title?: string
  /** Default: a sentence that says that nothing happens until the button is pressed. */
  text?: string
  /** The label of the button. Default `Confirm`. */
  button?: string
}

/**
 * Waits for an HTTP request to a URL that is made for this wait. `onAwaitRegister` receives the URL. A POST resolves the
 * wait. A person who opens the URL in a browser sees a page with a button that posts the parameters of the URL.
 *
 * @example
 * awaitBefore: { type: 'webhook', timeout: 86_400_000, page: { title: 'Release the payment?', button: 'Release' } }
 */
export interface AwaitWebhook {
  type: 'webhook'
  /**
   * Lets a GET resolve the wait too, without a page. For senders that cannot POST. Mail scanners and previews follow links and would
   * therefore resolve the wait. Default false.
   */
  get?: boolean
  /** The texts of the page, or a function that returns them for the job. */
  page?: WaitPage | ((job: Job) => WaitPage)
}

export type AwaitPart = AwaitTime | AwaitSchedule | AwaitEvent | AwaitWebhook

export interface AwaitLimits {
  /** The longest wait in milliseconds. Default: no limit. */
  timeout?: number
  /**
   * What happens after the timeout. `fail` fails the step with `WAIT_TIMEOUT`. `continue` continues with `timedOut` set.
   * `skip` completes the step without running its handler, or with `awaitAfter` without its emits. Default `fail`.
   */
  timeoutAction?: 'fail' | 'continue' | 'skip'
}

/** A single part, the first of several parts, or all of them. */
export type AwaitOptions = (AwaitPart | { any: readonly AwaitPart[] } | { all: readonly AwaitPart[] }) & AwaitLimits

/** The result of a wait. */
export interface AwaitResult {
  /** The payload of the event, or the body of the request. Absent with `all`. */
  payload?: unknown
  /** With `all`: one payload for each part, in their order. */
  payloads?: readonly unknown[]
  /** With `any`: the index of the part that came first. */
  index?: number
  timedOut: boolean
}

/** What `onAwaitRegister` receives when a wait begins. */
export interface AwaitRegistration {
  /** `before` or `after` the handler. */
  stage: 'before' | 'after'
  /** The URL of the first webhook. */
  url?: string
  /** The URLs of all webhooks. */
  urls: readonly string[]
  /** The moment of the timeout, in milliseconds since the epoch. Absent without one. */
  until?: number
}

declare module 'nuxt-queue/kernel' {
  interface WorkerConfig {
    /** Waits before the handler runs. A wait uses neither a process nor a timer. */
    awaitBefore?: AwaitOptions
    /** Waits after the handler, before the step completes and its emits start other steps. */
    awaitAfter?: AwaitOptions
    /**
     * Called at least once when a wait has begun. A worker file may export a function with this name instead.
     *
     * @example
     * export const onAwaitRegister = async ({ url }, job) => mail(job.data.boss, `Approve: ${url}`)
     */
    onAwaitRegister?: (registration: AwaitRegistration, job: Job, ctx: RunContext) => MaybePromise<void>
    /** Called at least once when a wait is over or has timed out. A worker file may export a function with this name instead. */
    onAwaitResolve?: (awaited: AwaitResult, job: Job, ctx: RunContext) => MaybePromise<void>
  }
  interface RunContext {
    /** The result of `awaitBefore`. */
    readonly awaited?: AwaitResult
  }
}
