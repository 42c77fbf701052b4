/** Every code an error of this package can carry. Messages say what came, what was expected and what to do. */
export type ErrorCode =
  /** A configuration key or value is not one this setup knows. */
  | 'CONFIG_INVALID'
  /** The preset or adapter named in the configuration does not exist. */
  | 'PRESET_UNKNOWN'
  /** What was passed as a plugin is not one. */
  | 'PLUGIN_INVALID'
  /** Two plugins share a name. */
  | 'PLUGIN_DUPLICATE'
  /** A plugin needs a port or plugin that comes after it, or not at all. */
  | 'PLUGIN_REQUIRES'
  /** The setup of a plugin threw something without a code of this list. With one, that is the code. */
  | 'PLUGIN_SETUP_FAILED'
  /** The setup of a plugin did not settle within its time limit. */
  | 'PLUGIN_SETUP_TIMEOUT'
  /** A port is used that no plugin provides. */
  | 'PORT_MISSING'
  /** Two plugins provide the same single port. */
  | 'PORT_DUPLICATE'
  /** A hook was registered wrongly, or its handler misused `next()`. */
  | 'HOOK_INVALID'
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
  /** The program that runs a worker is not there, or too old. */
  | 'RUNTIME_MISSING'
  /** The process of a worker did not start, or could not load it. */
  | 'RUNTIME_START_FAILED'
  /** The process of a worker ended before its job was done. */
  | 'RUNTIME_EXITED'
  /** The process of a worker lives and no longer answers. */
  | 'RUNTIME_SILENT'
  /** A process said something that the worker protocol does not know. */
  | 'PROTOCOL_VIOLATION'
  /** A job or worker option has a wrong type or range. */
  | 'OPTION_INVALID'
  /** An event, a key, a run or a queue has a name that only this package and its plugins may write. */
  | 'NAME_RESERVED'
  /** The adapter declares that it cannot honour the option. */
  | 'OPTION_UNSUPPORTED'
  /** A value cannot travel through the queue unchanged. */
  | 'VALUE_UNSUPPORTED'
  /** A value is larger than `payloadLimit`. */
  | 'PAYLOAD_TOO_LARGE'
  /** Input, output or state does not match its schema. */
  | 'VALIDATION_FAILED'
  /** The queue holds `maxQueueSize` jobs. */
  | 'QUEUE_FULL'
  /** There is no such job. */
  | 'JOB_NOT_FOUND'
  /** The job has ended and is no longer kept; only its id is still known. */
  | 'JOB_FORGOTTEN'
  /** The job is in a state that does not allow the operation. */
  | 'JOB_STATE'
  /** The handler did not settle within the timeout of its job. */
  | 'JOB_TIMEOUT'
  /** The job or its run was cancelled. */
  | 'JOB_CANCELLED'
  /** The job was handed out `maxCrashes` times and never came back. */
  | 'JOB_CRASHED'
  /** The kernel is closing and gives the job back. */
  | 'JOB_RELEASED'
  /** The handler threw something that is not an Error. */
  | 'HANDLER_FAILED'
  /** The handler of a batch did not return one result for each job. */
  | 'BATCH_RESULT'
  /** The job was handed to another worker meanwhile. */
  | 'LEASE_LOST'
  /** There is no such run. */
  | 'RUN_NOT_FOUND'
  /** The run has ended and takes no more events. */
  | 'RUN_ENDED'
  /** A plugin kept an event of the kernel from being stored. */
  | 'EMIT_DROPPED'
  /** The stream has moved on past `expectedSeq`. */
  | 'EVENTS_CONFLICT'
  /** The events asked for have been trimmed. */
  | 'EVENTS_TRIMMED'
  /** Another process, or another kernel in this one, uses the folder. */
  | 'STORE_LOCKED'
  /**
   * The store did not take a call and may take it later: its connection broke, it has no room, or it is busy. It may
   * have taken effect. What the queue does on behalf of a job is tried again and uses up no attempt.
   */
  | 'STORE_UNAVAILABLE'
  /** The store refuses what a setup is for: it is read-only, or does not let this user in or do that. */
  | 'STORE_REFUSED'
  /** The store took longer for a call than its time limit allows; the message names the call. */
  | 'STORE_TIMEOUT'
  /** What is stored was written by a newer version, or by something else. */
  | 'STORE_INCOMPATIBLE'
  /** No registered worker is the entry of that flow. */
  | 'FLOW_UNKNOWN'
  /** The steps of a flow do not fit together. */
  | 'FLOW_INVALID'
  /** Open runs need a step that no worker of this instance is. Reported, not thrown. */
  | 'FLOW_STEP_MISSING'
  /** A path through a flow ran a step more often than its limit. */
  | 'FLOW_LIMIT'
  /** A run that another one waited for has failed or was cancelled. */
  | 'FLOW_CHILD_FAILED'
  /** What a worker or a handler waits for is described wrongly. */
  | 'WAIT_INVALID'
  /** What was waited for did not come in time. */
  | 'WAIT_TIMEOUT'
  /** Nobody waits, or has waited, under that token. */
  | 'WAIT_UNKNOWN'
  /** The wait is over: it was resolved before, timed out, or its run has ended. */
  | 'WAIT_OVER'
  /** A handler asks for a wait under the name of a part that was recorded, or the other way round. */
  | 'STEP_MISMATCH'
  /** A part of a handler did not settle within its own timeout. */
  | 'STEP_TIMEOUT'
  /** A handler went on after it was left at a wait: something had caught what leaves it. Python and Perl only. */
  | 'STEP_SWALLOWED'
  /** An upcaster threw, or answered something that is no event. */
  | 'UPCAST_FAILED'
  /** A cron expression, time zone or schedule target is wrong. */
  | 'SCHEDULE_INVALID'
  /** A webhook's path is wrong or taken, or a request cannot be read. */
  | 'WEBHOOK_INVALID'
  /** Nothing answers at that path. */
  | 'WEBHOOK_UNKNOWN'
  /** A request does not prove where it comes from. */
  | 'WEBHOOK_REFUSED'
  /** There is no trigger of that name. */
  | 'TRIGGER_UNKNOWN'
  /** The definition of a trigger or of a subscription to one is wrong. */
  | 'TRIGGER_INVALID'
  /** More came than a rate limit lets through; `details.retryAfter` tells how many milliseconds to wait. */
  | 'RATE_LIMITED'
  /** Jobs live in the process that holds them, and none runs in that folder. */
  | 'DEV_MISSING'
  /** Another process serves that folder already. */
  | 'DEV_RUNNING'
  /** A file is not the history of a run, or not all of it. */
  | 'HISTORY_INVALID'
  /** Nothing answers at that path of the HTTP interface, or not to this request. */
  | 'ROUTE_UNKNOWN'
  /** The path is right and the method is not. */
  | 'METHOD_UNKNOWN'
  /** An HTTP request cannot be read: its path, its query, or a body that is no JSON. */
  | 'REQUEST_INVALID'
  /** The body of an HTTP request is not declared as JSON. */
  | 'MEDIA_TYPE_UNKNOWN'
  /** The request may not do that, comes from another site, or to a host name that is not this server's. */
  | 'REQUEST_FORBIDDEN'
  /** The request carries no token, or one that `http.token` does not name. Sent, not thrown. */
  | 'REQUEST_UNAUTHORIZED'
  /** `http.authorize` has not settled within `http.authorizeTimeout`. */
  | 'AUTHORIZE_TIMEOUT'
  /** As many streams are open as `http.maxConnections` allows. */
  | 'CONNECTIONS_FULL'

/** What else an error says: `plugin` and `hook` where it arose, `details` for programs. */
export interface QueueErrorFacts {
  cause?: unknown
  plugin?: string
  hook?: string
  details?: Record<string, unknown>
  /** False ends the job at once, whatever attempts are left. Any thrown Error may carry it. */
  retryable?: boolean
}

/** An error as it is stored in events and job records. Each text is cut to a limit, and says so. */
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
