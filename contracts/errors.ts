/** The codes of this package's errors. Messages say what happened, what was expected, what came and what to do. */
export type ErrorCode =
  /** A configuration key or value is unknown. */
  | 'CONFIG_INVALID'
  /** The preset or adapter named in the configuration does not exist. */
  | 'PRESET_UNKNOWN'
  /** A value in `plugins` is not a plugin. */
  | 'PLUGIN_INVALID'
  /** Two plugins share a name. */
  | 'PLUGIN_DUPLICATE'
  /** A plugin requires a port or plugin that is missing or comes after it. */
  | 'PLUGIN_REQUIRES'
  /** The setup of a plugin failed with an error without one of these codes. An error with one of them keeps its code. */
  | 'PLUGIN_SETUP_FAILED'
  /** The setup of a plugin did not settle within its time limit. */
  | 'PLUGIN_SETUP_TIMEOUT'
  /** A plugin needs a package that is not installed. The message says what to run. */
  | 'PACKAGE_MISSING'
  /** A port is used that no plugin provides. */
  | 'PORT_MISSING'
  /** Two plugins provide the same port, and only one may. */
  | 'PORT_DUPLICATE'
  /** A plugin registered something that is not a handler, or on a hook that does not exist. */
  | 'HOOK_INVALID'
  /** The handler of a hook did not await `next()`, or did not call it although the hook requires it. */
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
  /** A value is encrypted with a key that this process does not have. The job waits for a process that has it. */
  | 'ENCRYPTION_KEY_MISSING'
  /** A large value is not in the storage of `offload`, or was changed there. */
  | 'OFFLOAD_MISSING'
  /** An encrypted value was changed or moved, or this process has a different key under its id. */
  | 'ENCRYPTION_FAILED'
  /** Input, output or state does not match its schema. */
  | 'VALIDATION_FAILED'
  /** A chat or one of its turns has used all the tokens of its budget. */
  | 'AI_BUDGET_EXCEEDED'
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
  /** The job waited longer than its `expiresIn` and was not run. */
  | 'JOB_EXPIRED'
  /** `result()` or `waitFor()` reached its own timeout. The job continues. */
  | 'RESULT_TIMEOUT'
  /** The job or its run was cancelled. */
  | 'JOB_CANCELLED'
  /** The job was claimed `maxCrashes` times, and each time its process died or its end could not be stored. */
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
   * effect. Calls that the queue makes for a job are retried and do not use up an attempt.
   */
  | 'STORE_UNAVAILABLE'
  /** The store cannot be used as configured: it is read-only, or refuses this user or this command. */
  | 'STORE_REFUSED'
  /** A call to the store exceeded its time limit. The message names the call. */
  | 'STORE_TIMEOUT'
  /** The stored data was written by a newer version or by another program. */
  | 'STORE_INCOMPATIBLE'
  /** Processes use a store that is to be exported, imported or moved. Stop them first. */
  | 'STORE_IN_USE'
  /** The jobs of the store were moved to another store, or are being moved. The message names it. */
  | 'STORE_MOVED'
  /** The store that a copy is written to has jobs or runs already. */
  | 'STORE_NOT_EMPTY'
  /** What was written to a store differs from what was read. Nothing else was changed. */
  | 'STORE_DIFFERS'
  /** A file is not the export of a store, or is incomplete. */
  | 'EXPORT_INVALID'
  /** No registered worker is the entry of that flow. */
  | 'FLOW_UNKNOWN'
  /** The steps of a flow do not fit together. */
  | 'FLOW_INVALID'
  /** Open runs need a step for which this instance has no worker. Reported, not thrown. */
  | 'FLOW_STEP_MISSING'
  /** A path through a flow ran a step more often than its limit allows. */
  | 'FLOW_LIMIT'
  /** A run that another one waited for has failed or was cancelled. */
  | 'FLOW_CHILD_FAILED'
  /** The flow has no such query. */
  | 'QUERY_UNKNOWN'
  /** A query threw, did not settle in time, or returned something that is not plain data. */
  | 'QUERY_FAILED'
  /** The flow has no such update. */
  | 'UPDATE_UNKNOWN'
  /** The validator of an update refused it. Nothing was stored. */
  | 'UPDATE_REFUSED'
  /** The validator or the handler of an update threw, or did not settle in time. Nothing was stored. */
  | 'UPDATE_FAILED'
  /** The definition of a wait is invalid. */
  | 'WAIT_INVALID'
  /** A wait timed out. */
  | 'WAIT_TIMEOUT'
  /** No wait has that token. */
  | 'WAIT_UNKNOWN'
  /** The wait has ended: it was resolved, timed out, or its run has ended. */
  | 'WAIT_OVER'
  /** A handler uses the same name for a wait and for a sub-step. */
  | 'STEP_MISMATCH'
  /** A sub-step did not settle within its own timeout. */
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
  /** An operator has paused the trigger, so it starts nothing. */
  | 'TRIGGER_PAUSED'
  /** A rate limit was exceeded. `details.retryAfter` is the number of milliseconds to wait. */
  | 'RATE_LIMITED'
  /** Jobs of this adapter live in one process, and no process runs in that folder. */
  | 'DEV_MISSING'
  /** Another process serves that folder already. */
  | 'DEV_RUNNING'
  /** A destination did not accept an alert. The alert is sent again. */
  | 'ALERT_UNDELIVERED'
  /** No group of errors has that fingerprint. */
  | 'ERROR_UNKNOWN'
  /** A file is not the history of a run, or is incomplete. */
  | 'HISTORY_INVALID'
  /** The HTTP API has no such path, or the path is not available to this request. */
  | 'ROUTE_UNKNOWN'
  /** The path does not support the method. */
  | 'METHOD_UNKNOWN'
  /** The path, the query or the body of an HTTP request, or of a request to a webhook, cannot be read. */
  | 'REQUEST_INVALID'
  /** The body of an HTTP request is not declared as JSON. */
  | 'MEDIA_TYPE_UNKNOWN'
  /** The request is not allowed, comes from another site, or is addressed to a foreign host name. */
  | 'REQUEST_FORBIDDEN'
  /** The request has no token, or its token is not in `http.token`. The code is sent, not thrown. */
  | 'REQUEST_UNAUTHORIZED'
  /** `http.authorize` did not settle within `http.authorizeTimeout`. */
  | 'AUTHORIZE_TIMEOUT'
  /** The limit `http.maxConnections` of open streams is reached. */
  | 'CONNECTIONS_FULL'

/** Additional facts of an error: `plugin` and `hook` say where it occurred, `details` are for programs. */
export interface QueueErrorFacts {
  cause?: unknown
  plugin?: string
  hook?: string
  details?: Record<string, unknown>
  /** False fails the job at once, even if attempts are left. Every thrown Error may have this member. */
  retryable?: boolean
}

/** An error as events and job records store it. Long texts are cut and end with a note that says so. */
export interface SerializedError {
  name: string
  message: string
  code?: string
  stack?: string
  /** Nested at most four levels deep. */
  cause?: SerializedError
  /** The first errors of an `AggregateError`. */
  errors?: SerializedError[]
}
