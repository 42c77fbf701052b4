/** The codes of this package's errors. Messages say what happened, what was expected, what came and what to do. */
export type ErrorCode =
  /** A configuration key or value is unknown. */
  | 'CONFIG_INVALID'
  /** The preset or adapter named in the configuration does not exist. */
  | 'PRESET_UNKNOWN'
  /** What was passed as a plugin is not one. */
  | 'PLUGIN_INVALID'
  /** Two plugins share a name. */
  | 'PLUGIN_DUPLICATE'
  /** A plugin requires a port or plugin that is missing or comes after it. */
  | 'PLUGIN_REQUIRES'
  /** The setup of a plugin threw something without a code of this list. With one, that is the code. */
  | 'PLUGIN_SETUP_FAILED'
  /** The setup of a plugin did not settle within its time limit. */
  | 'PLUGIN_SETUP_TIMEOUT'
  /** A plugin needs a package that is not installed. The message says what to run. */
  | 'PACKAGE_MISSING'
  /** A port is used that no plugin provides. */
  | 'PORT_MISSING'
  /** Two plugins provide the same single port. */
  | 'PORT_DUPLICATE'
  /** A plugin registered something that is not a handler, or on a hook that does not exist. */
  | 'HOOK_INVALID'
  /** The handler of a hook did not await `next()`, or did not call it where it must. */
  | 'HOOK_MISUSED'
  /** A plugin threw inside a hook. */
  | 'HOOK_FAILED'
  /** The kernel is closing or closed. */
  | 'KERNEL_CLOSED'
  /** `useKernel()` or `useRunContext()` was called outside a job. */
  | 'CONTEXT_MISSING'
  /** A plugin refused the job; the message carries its reason. */
  | 'ENQUEUE_VETOED'
  /** No registered worker has that id, or none handles the job. */
  | 'WORKER_UNKNOWN'
  /** Two workers share an id, or handle the same (queue, name). */
  | 'WORKER_DUPLICATE'
  /** A worker file or definition cannot be used. */
  | 'WORKER_INVALID'
  /** A worker names a runtime that no plugin provides. */
  | 'RUNTIME_UNKNOWN'
  /** The program that runs a worker is missing or too old. */
  | 'RUNTIME_MISSING'
  /** The process of a worker did not start, or could not load it. */
  | 'RUNTIME_START_FAILED'
  /** The process of a worker ended before its job was done. */
  | 'RUNTIME_EXITED'
  /** The process of a worker is alive but no longer responds. */
  | 'RUNTIME_SILENT'
  /** A process sent something that the worker protocol does not define. */
  | 'PROTOCOL_VIOLATION'
  /** A job or worker option has a wrong type or range. */
  | 'OPTION_INVALID'
  /** The name of an event, key, run or queue is reserved for this package and its plugins. */
  | 'NAME_RESERVED'
  /** The adapter does not support the option. */
  | 'OPTION_UNSUPPORTED'
  /** A value cannot be stored without changing it. */
  | 'VALUE_UNSUPPORTED'
  /** A value is larger than `payloadLimit`. */
  | 'PAYLOAD_TOO_LARGE'
  /** Input, output or state does not match its schema. */
  | 'VALIDATION_FAILED'
  /** The queue holds `maxQueueSize` jobs. */
  | 'QUEUE_FULL'
  /** There is no such job. */
  | 'JOB_NOT_FOUND'
  /** The job has ended and was removed. Only its id is still known. */
  | 'JOB_FORGOTTEN'
  /** The job is in a state that does not allow the operation. */
  | 'JOB_STATE'
  /** There is no such bulk action. */
  | 'BULK_UNKNOWN'
  /** The handler did not settle within the timeout of its job. */
  | 'JOB_TIMEOUT'
  /** `result()` or `waitFor()` gave up after its own timeout. The job goes on. */
  | 'RESULT_TIMEOUT'
  /** The job or its run was cancelled. */
  | 'JOB_CANCELLED'
  /** The job was handed out `maxCrashes` times without coming back. */
  | 'JOB_CRASHED'
  /** The kernel is closing and returns the job to its queue. */
  | 'JOB_RELEASED'
  /** The handler threw something that is not an Error. */
  | 'HANDLER_FAILED'
  /** The handler of a batch did not return one result for each job. */
  | 'BATCH_RESULT'
  /** The job was handed to another worker in the meantime. */
  | 'LEASE_LOST'
  /** There is no such run. */
  | 'RUN_NOT_FOUND'
  /** The run has ended and accepts no more events. */
  | 'RUN_ENDED'
  /** A plugin dropped an event of the kernel. */
  | 'EMIT_DROPPED'
  /** The stream has moved on past `expectedSeq`. */
  | 'EVENTS_CONFLICT'
  /** The events asked for have been trimmed. */
  | 'EVENTS_TRIMMED'
  /** Another process, or another kernel in this one, uses the folder. */
  | 'STORE_LOCKED'
  /**
   * The store failed a call and may accept it later: its connection broke, it is full, or it is busy. The call may have taken
   * effect. What the queue does for a job is tried again and uses up no attempt.
   */
  | 'STORE_UNAVAILABLE'
  /** The store cannot be used as configured: it is read-only, or refuses this user or this command. */
  | 'STORE_REFUSED'
  /** A call to the store exceeded its time limit. The message names the call. */
  | 'STORE_TIMEOUT'
  /** The stored data was written by a newer version or by another program. */
  | 'STORE_INCOMPATIBLE'
  /** No registered worker is the entry of that flow. */
  | 'FLOW_UNKNOWN'
  /** The steps of a flow do not fit together. */
  | 'FLOW_INVALID'
  /** Open runs need a step for which this instance has no worker. Reported, not thrown. */
  | 'FLOW_STEP_MISSING'
  /** A path through a flow ran a step more often than its limit. */
  | 'FLOW_LIMIT'
  /** A run that another one waited for has failed or was cancelled. */
  | 'FLOW_CHILD_FAILED'
  /** The definition of a wait is invalid. */
  | 'WAIT_INVALID'
  /** A wait timed out. */
  | 'WAIT_TIMEOUT'
  /** No wait has that token. */
  | 'WAIT_UNKNOWN'
  /** The wait has ended: it was resolved, timed out, or its run has ended. */
  | 'WAIT_OVER'
  /** A handler uses one name for a wait and for a part of its work. */
  | 'STEP_MISMATCH'
  /** A part of a handler did not settle within its own timeout. */
  | 'STEP_TIMEOUT'
  /** A handler continued after it was suspended at a wait, because it caught the suspension. Python and Perl only. */
  | 'STEP_SWALLOWED'
  /** An upcaster threw, or returned something that is not an event. */
  | 'UPCAST_FAILED'
  /** A cron expression, time zone or schedule target is invalid. */
  | 'SCHEDULE_INVALID'
  /** There is no such schedule, neither in this instance nor among the schedules of all instances. */
  | 'SCHEDULE_UNKNOWN'
  /** The path of a webhook is invalid or in use. */
  | 'WEBHOOK_INVALID'
  /** No webhook has that path. */
  | 'WEBHOOK_UNKNOWN'
  /** A request does not prove its origin. */
  | 'WEBHOOK_REFUSED'
  /** No trigger has that name. */
  | 'TRIGGER_UNKNOWN'
  /** The definition of a trigger, or of a subscription to one, is invalid. */
  | 'TRIGGER_INVALID'
  /** Operators have paused the trigger, so that it starts nothing. */
  | 'TRIGGER_PAUSED'
  /** A rate limit was exceeded. `details.retryAfter` is the number of milliseconds to wait. */
  | 'RATE_LIMITED'
  /** Jobs of this adapter live in one process, and no process runs in that folder. */
  | 'DEV_MISSING'
  /** Another process serves that folder already. */
  | 'DEV_RUNNING'
  /** A destination did not accept an alert. It is tried again. */
  | 'ALERT_UNDELIVERED'
  /** No group of errors has that fingerprint. */
  | 'ERROR_UNKNOWN'
  /** A file is not the history of a run, or is incomplete. */
  | 'HISTORY_INVALID'
  /** The HTTP API has no such path, or not for this request. */
  | 'ROUTE_UNKNOWN'
  /** The path does not support the method. */
  | 'METHOD_UNKNOWN'
  /** The path, the query or the body of an HTTP request, or of a request to a webhook, cannot be read. */
  | 'REQUEST_INVALID'
  /** The body of an HTTP request is not declared as JSON. */
  | 'MEDIA_TYPE_UNKNOWN'
  /** The request is not allowed, comes from another site, or is addressed to a foreign host name. */
  | 'REQUEST_FORBIDDEN'
  /** The request carries no token, or one that `http.token` does not name. Sent, not thrown. */
  | 'REQUEST_UNAUTHORIZED'
  /** `http.authorize` has not settled within `http.authorizeTimeout`. */
  | 'AUTHORIZE_TIMEOUT'
  /** As many streams are open as `http.maxConnections` allows. */
  | 'CONNECTIONS_FULL'

/** Additional facts of an error: `plugin` and `hook` say where it occurred, `details` are for programs. */
export interface QueueErrorFacts {
  cause?: unknown
  plugin?: string
  hook?: string
  details?: Record<string, unknown>
  /** False ends the job at once, even if attempts are left. Every thrown Error may have it. */
  retryable?: boolean
}

/** An error as events and job records store it. Each text is cut to a limit, and says so. */
export interface SerializedError {
  name: string
  message: string
  code?: string
  stack?: string
  /** At most four deep. */
  cause?: SerializedError
  /** The first errors of an `AggregateError`. */
  errors?: SerializedError[]
}
