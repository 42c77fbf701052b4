import type { EnqueueResult, EnqueueOptions, JobFilter, JobRecord, JobState } from '../../../kernel/index.ts'
import type { JobTotals, RunInfo, StoredEvent } from '../../../kernel/index.ts'
import { createBackoff } from './backoff.ts'
import { at } from './at.ts'
import { responseError, QueueClientError } from './error.ts'
import type { RequestHeaders, RunEnd } from './frames.ts'
import type {
  AuditEntryInfo,
  AuditQuery,
  BulkActionName,
  BulkInfo,
  BulkStart,
  ErrorGroupInfo,
  ErrorQuery,
  QueueView,
  ScheduleDraft,
  ScheduleView,
  StatsPoint,
  StatsQuery,
  TriggerDelivery,
  TriggerDraft,
  TriggerView,
  WaitInfo,
} from '../lib/rest-types.ts'
import { runMessagesOf } from './run-messages.ts'
import { subscribe, type SubscribeOptions, type Subscription } from './subscribe.ts'

export interface ClientOptions {
  /** The address of the API. Default `/_queue/api/`, which needs a browser or a `fetch` that knows its origin. */
  baseURL?: string
  headers?: RequestHeaders
  /** The function that sends requests. Default: the global `fetch`. */
  fetch?: typeof fetch
  /**
   * How long read requests are retried while the server is unavailable, busy, or replaced by a page of a proxy, as during a deployment. In
   * milliseconds. Requests that make changes are sent once. Default 5,000. 0 disables retries.
   */
  patience?: number
}

type Query = Readonly<Record<string, string | number | boolean | Date | readonly string[] | undefined>>

export interface RequestOptions {
  query?: Query
  /** The body, which is sent as JSON. */
  body?: object
  signal?: AbortSignal
}

/** The options of a job in JSON: dates are ISO strings, `bigint` is a string, and binary data is base64. */
export type JobOptionsInput = Omit<EnqueueOptions, 'db' | 'runId' | 'flow' | 'delay'> & { delay?: number | string }
export type RunStart = {
  id?: string
  entry?: string
  tags?: readonly string[]
  headers?: Readonly<Record<string, string>>
}
export interface RunResult {
  status: 'running' | RunEnd
  result?: unknown
  error?: { name: string; message: string; code?: string }
  reason?: string
}
type Changed = { changed: boolean }
type Fork = { at?: number | string; input?: unknown; state?: object; id?: string; tags?: readonly string[] }
type RunQuery = Partial<Record<'flow' | 'name' | 'queue' | 'tag' | 'after', string>> & {
  status?: RunInfo['status']
  internal?: boolean
  limit?: number
}
/** A filter of jobs. `data` compares values in the data by path: `{ 'customer.id': 7 }`. */
export type JobFilterQuery = Omit<JobFilter, 'states' | 'createdAfter' | 'createdBefore'> & {
  state?: readonly JobState[]
  /** Milliseconds since the epoch, or a Date. */
  createdAfter?: number | Date
  createdBefore?: number | Date
}
type JobQuery = JobFilterQuery & { limit?: number; after?: string }
/** @deprecated Omit `offset`, and page with `after`. */
type OffsetQuery = Pick<JobFilterQuery, 'queue' | 'name' | 'runId' | 'state'> & { limit?: number; offset: number }
type JobPage<Next> = { jobs: JobRecord[]; next?: Next; truncated?: boolean }
interface ListJobs {
  /** Finds jobs, newest first. Pass `next` as `after` to get the next page. */
  (query?: JobQuery): Promise<JobPage<string>>
  /** @deprecated Lists the oldest jobs first. Omit `offset`, and page with `after`. */
  (query: OffsetQuery): Promise<JobPage<number>>
}
type EventQuery = {
  after?: number
  until?: number | Date
  types?: readonly string[]
  limit?: number
  reverse?: boolean
}

/**
 * Returns a client with a method for each call of the HTTP interface.
 *
 * @example
 * const queue = createClient({ baseURL: 'https://example.com/_queue/api/' })
 * const { runId } = await queue.jobs.enqueue('hello', { name: 'Ada' })
 * console.log(await queue.runs.result(runId, { wait: 10_000 }))
 */
export function createClient(options: ClientOptions = {}) {
  const { baseURL = '/_queue/api/', headers, fetch: fetching, patience = 5_000 } = options
  const base = baseURL.endsWith('/') ? baseURL : `${baseURL}/`

  /** @throws QueueClientError with the code of the server's error */
  async function request<T>(method: string, path: string, options: RequestOptions = {}): Promise<T> {
    const until = Date.now() + (method === 'GET' ? patience : 0)
    const signal = options.signal ?? new AbortController().signal
    for (const backoff = createBackoff({ min: 250, max: 2_000 }); ;) {
      try {
        return await send<T>(method, urlOf(path, options.query), options)
      } catch (error) {
        if (!isAway(error) || Date.now() + (error.retryAfter ?? 0) >= until) throw error
        await backoff.wait(signal, error.retryAfter)
      }
    }
  }

  async function send<T>(method: string, url: string, { body, signal }: RequestOptions): Promise<T> {
    signal?.throwIfAborted()
    const sent = new Headers(typeof headers === 'function' ? await headers() : headers)
    if (body) sent.set('content-type', 'application/json')
    const text = body && JSON.stringify(body)
    const response = await (fetching ?? fetch)(url, { method, headers: sent, body: text, signal }).catch(
      (cause: unknown) => {
        if (signal?.aborted) throw signal.reason
        throw new QueueClientError('UNREACHABLE', `${url} does not respond.`, { cause })
      },
    )
    if (!response.ok) throw await responseError(response)
    try {
      return (await response.json()) as T
    } catch (cause) {
      const { status } = response
      throw new QueueClientError('NOT_JSON', `The response of ${url} is not JSON. Check the base URL.`, {
        status,
        cause,
      })
    }
  }

  function urlOf(path: string, query: Query = {}): string {
    const params = new URLSearchParams()
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) params.set(name, value instanceof Date ? value.toISOString() : String(value))
    }
    const text = params.toString()
    return `${base}${path}${text === '' ? '' : `?${text}`}`
  }

  const get = <T>(path: string, query?: Query, signal?: AbortSignal) => request<T>('GET', path, { query, signal })
  const post = <T>(path: string, body: object = {}) => request<T>('POST', path, { body })
  const follow = (path: string, options: SubscribeOptions = {}): Subscription =>
    subscribe(urlOf(path), { ...(options.transport !== 'websocket' && { headers }), fetch: fetching, ...options })

  return {
    /** Sends any other request. */
    request,
    jobs: {
      enqueue: (worker: string, data?: unknown, options?: JobOptionsInput) =>
        post<EnqueueResult>('jobs', { worker, data, options }),
      list: ((query?: JobQuery) => get<never>('jobs', flatten(query))) as ListJobs,
      /** Counts the jobs that match a filter, by state. */
      count: (query?: JobFilterQuery) => get<JobTotals>('jobs/count', flatten(query)),
      get: (queue: string, id: string) => get<JobRecord>(at`jobs/${queue}/${id}`),
      /** Runs a failed or cancelled job again. @param changes new data for the job, if the member is present */
      retry: (queue: string, id: string, changes?: { data?: unknown }) =>
        post<JobRecord>(at`jobs/${queue}/${id}/retry`, changes),
      cancel: (queue: string, id: string, reason?: string) => post<Changed>(at`jobs/${queue}/${id}/cancel`, { reason }),
      /** Enqueues a copy of a job. `delay` is in milliseconds, or an ISO date. */
      duplicate: (queue: string, id: string, changes?: { data?: unknown; id?: string; delay?: number | string }) =>
        post<EnqueueResult>(at`jobs/${queue}/${id}/duplicate`, changes),
      /** Makes a delayed job due now. */
      promote: (queue: string, id: string) => post<Changed>(at`jobs/${queue}/${id}/promote`),
      /** Changes when a waiting or delayed job runs. @param delay milliseconds from now, or an ISO date */
      reschedule: (queue: string, id: string, delay: number | string) =>
        post<Changed>(at`jobs/${queue}/${id}/reschedule`, { delay }),
      /** Removes a job that is not running, and frees its id. */
      remove: (queue: string, id: string) => request<Changed>('DELETE', at`jobs/${queue}/${id}`),
    },
    /** Actions on all jobs that match a filter. */
    bulk: {
      start: (action: BulkActionName, filter: JobFilter, options?: BulkStart) =>
        post<BulkInfo>('bulk', { action, filter, ...options }),
      list: (query?: { limit?: number }) => get<{ bulk: BulkInfo[] }>('bulk', query),
      get: (id: string) => get<BulkInfo>(at`bulk/${id}`),
      /** Stops the action after the jobs that it has begun. */
      abort: (id: string) => post<Changed>(at`bulk/${id}/abort`),
    },
    runs: {
      list: (query?: RunQuery) => get<{ runs: RunInfo[]; next?: string }>('runs', query),
      get: (runId: string) => get<RunInfo>(at`runs/${runId}`),
      events: (runId: string, query?: EventQuery) =>
        get<{ events: StoredEvent[]; head: number }>(at`runs/${runId}/events`, query),
      state: (runId: string, query?: { at?: number | Date }) =>
        get<Record<string, unknown>>(at`runs/${runId}/state`, query),
      /** @param options.wait milliseconds to wait for the end of the run, at most 30,000 */
      result: (runId: string, { wait, signal }: { wait?: number; signal?: AbortSignal } = {}) =>
        get<RunResult>(at`runs/${runId}/result`, { wait }, signal),
      cancel: (runId: string, reason?: string) => post<Changed>(at`runs/${runId}/cancel`, { reason }),
      fork: (runId: string, options?: Fork) =>
        post<{ runId: string; deduplicated: boolean }>(at`runs/${runId}/fork`, options),
      ...runMessagesOf(get, post),
      /** Follows a run. */
      stream: (runId: string, options?: SubscribeOptions) => follow(at`runs/${runId}/stream`, options),
    },
    flows: {
      start: (flow: string, input?: unknown, options?: RunStart) =>
        post<EnqueueResult>(at`flows/${flow}`, { input, ...options }),
    },
    queues: {
      list: () => get<{ queues: QueueView[] }>('queues'),
      pause: (queue: string, options?: { key?: string }) =>
        post<{ paused: boolean }>(at`queues/${queue}/pause`, options),
      resume: (queue: string, options?: { key?: string }) =>
        post<{ paused: boolean }>(at`queues/${queue}/resume`, options),
    },
    /** Counts jobs over time, and measures how long they wait and run. */
    stats: (query?: StatsQuery) =>
      get<{ step: number; series: StatsPoint[]; queues?: { queue: string; series: StatsPoint[] }[] }>('stats', query),
    /** Groups of errors with which jobs failed. */
    errors: {
      list: (query?: ErrorQuery) => get<{ errors: ErrorGroupInfo[] }>('errors', query),
      get: (fingerprint: string) => get<ErrorGroupInfo>(at`errors/${fingerprint}`),
      resolve: (fingerprint: string) => post<ErrorGroupInfo>(at`errors/${fingerprint}/resolve`),
      ignore: (fingerprint: string) => post<ErrorGroupInfo>(at`errors/${fingerprint}/ignore`),
      reopen: (fingerprint: string) => post<ErrorGroupInfo>(at`errors/${fingerprint}/reopen`),
    },
    /** The actions that were taken over HTTP, newest first. */
    audit: (query?: AuditQuery) => get<{ entries: AuditEntryInfo[] }>('audit', query),
    waits: {
      /** Lists the open waits for events and requests. Pass `next` as `after` to get the next page. */
      list: (query?: { limit?: number; after?: string }) => get<{ waits: WaitInfo[]; next?: string }>('waits', query),
      resolve: (token: string, payload?: unknown) => post<Changed>(at`waits/${token}`, { payload }),
      /** Completes an open wait of a job without its token. @param name for a job with several waits */
      complete: (runId: string, jobId: string, payload?: unknown, name?: string) =>
        post<Changed>(at`waits/${runId}/${jobId}/complete`, { payload, name }),
    },
    /** The schedules of the process that handles the request, and the schedules that were saved for all processes. */
    schedules: {
      list: () => get<{ schedules: ScheduleView[] }>('schedules'),
      /** Creates or replaces a schedule in all processes. */
      save: (name: string, schedule: ScheduleDraft) => post<ScheduleView>(at`schedules/${name}`, schedule),
      remove: (name: string) => request<Changed>('DELETE', at`schedules/${name}`),
      pause: (name: string) => post<ScheduleView>(at`schedules/${name}/pause`),
      resume: (name: string) => post<ScheduleView>(at`schedules/${name}/resume`),
      run: (name: string) => post<{ at: number }>(at`schedules/${name}/run`),
      /** Starts the target once for each moment of a range: milliseconds since the epoch, or ISO dates. */
      backfill: (name: string, range: { from: number | string; to?: number | string; limit?: number }) =>
        post<{ moments: number[] }>(at`schedules/${name}/backfill`, range),
    },
    /** The triggers of the process that handles the request, and the triggers that were saved for all processes. */
    triggers: {
      list: () => get<{ triggers: TriggerView[] }>('triggers'),
      /** Lists the events that fired a trigger or were refused, newest first. */
      history: (name: string, query?: { limit?: number }) =>
        get<{ records: TriggerDelivery[] }>(at`triggers/${name}/history`, query),
      fire: (name: string, payload?: unknown, options?: { key?: string; id?: string }) =>
        post<EnqueueResult>(at`triggers/${name}`, { payload, ...options }),
      /** Creates a trigger in all processes, or replaces a saved trigger. */
      save: (name: string, trigger: TriggerDraft) => post<TriggerView>(at`triggers/${name}/save`, trigger),
      remove: (name: string) => request<Changed>('DELETE', at`triggers/${name}`),
      pause: (name: string) => post<TriggerView>(at`triggers/${name}/pause`),
      resume: (name: string) => post<TriggerView>(at`triggers/${name}/resume`),
    },
    events: {
      send: (name: string, payload?: unknown, options?: { key?: string; id?: string }) =>
        post<{ id: string; deduplicated: boolean }>('events', { name, payload, ...options }),
    },
    /** Follows all runs that the client may read. */
    stream: (options?: SubscribeOptions) => follow('stream', options),
  }
}
export type QueueClient = ReturnType<typeof createClient>

/**
 * Whether the server may be back soon. A request that failed in the server itself is not retried, because that takes time and rarely helps.
 */
function isAway(error: unknown): error is QueueClientError {
  return error instanceof QueueClientError && (error.foreign || (error.passing && error.status !== 500))
}

/** Writes each path of `data` as a separate parameter. */
function flatten({ data = {}, ...query }: JobQuery = {}): Query {
  return {
    ...query,
    ...Object.fromEntries(Object.entries(data).map(([path, value]) => [`data.${path}`, String(value)])),
  }
}
