import type { ErrorCode } from '../../contracts/errors.ts'

/** What to do about each error. The types hold that none is missing. */
export const REMEDIES: Readonly<Record<ErrorCode, string>> = {
  CONFIG_INVALID:
    'Correct the key or the value that the message names. [Configuration](config.md) lists all of them. Options of a worker belong in `defineWorkerConfig`.',
  PRESET_UNKNOWN:
    'Use one of the names that the message lists. In production, set `REDIS_URL` or `DATABASE_URL`, or name an `adapter`.',
  PLUGIN_INVALID:
    'Pass what `definePlugin` returns. If it comes from a file, check that the file has a default export.',
  PLUGIN_DUPLICATE:
    'Remove one of the two plugins, or give your own plugin another `name`. The preset may already contain the plugin.',
  PLUGIN_REQUIRES: 'Add the plugin that the message names, or put it before the one that requires it.',
  PLUGIN_SETUP_FAILED: 'Read `cause`. It is the error that the plugin threw.',
  PLUGIN_SETUP_TIMEOUT:
    'Check that the store or service of the plugin can be reached. Raise `setupTimeout` if it needs longer.',
  PACKAGE_MISSING: 'Run the command of the message. A bundled application must be built again after that.',
  PORT_MISSING: 'Add a plugin that provides the port. [Ports](ports.md) lists them.',
  PORT_DUPLICATE: 'Remove one of the two plugins that the message names.',
  HOOK_INVALID: 'Pass a function, and the name of one of the five hooks. [Hooks](hooks.md) lists them.',
  HOOK_MISUSED:
    'Correct the handler that the message names: call `next()` once, and await or return it. [Hooks](hooks.md) has the rules.',
  HOOK_FAILED: 'Read `cause`, `plugin` and `hook`. They contain the error and its origin.',
  KERNEL_CLOSED:
    'Stop calling the kernel after `close()`. In Nuxt, wait with `queueReady()` in code that runs before the first request.',
  CONTEXT_MISSING: 'Call it inside a handler. Pass `ctx` to code that runs later, such as timers.',
  ENQUEUE_VETOED: 'The message has the reason of the plugin. Correct the job, or do not enqueue it.',
  WORKER_UNKNOWN:
    'Check the name against `npx nuxt-queue workers`. If another application has the worker, pass `{ queue, name }`. If a job failed with it, deploy the worker and retry the job.',
  WORKER_DUPLICATE: 'Rename one of the two workers that the message names, or give it another `queue`.',
  WORKER_INVALID:
    'Correct the file that the message names: its default export is `defineQueueWorker(…)`, and `config` is an object. If it is not a worker, let its name begin with `_`.',
  RUNTIME_UNKNOWN: 'Add the plugin of the runtime, or correct `runtime` in the config of the worker.',
  RUNTIME_MISSING: 'Install the program that the message names, or set its path, such as `python.interpreter`.',
  RUNTIME_START_FAILED:
    'The message has the end of the output of the process. The cause is most often an error while the worker was loaded.',
  RUNTIME_EXITED:
    'The process crashed, called `exit`, or ran out of memory. The message has its exit code and the end of its output. Raise its limits, or find the crash.',
  RUNTIME_SILENT: 'The process blocked for too long. Do long work in steps, or raise its heartbeat.',
  PROTOCOL_VIOLATION:
    'Correct the program to follow [the worker protocol](protocol.md). If it writes to standard output, let it write to standard error.',
  OPTION_INVALID:
    'The message says what was expected and what was received. [Job options](job-options.md) and [worker options](worker-options.md) list the types.',
  NAME_RESERVED: 'Choose another name. [Events](events.md) lists what begins with a reserved name.',
  OPTION_UNSUPPORTED:
    'Remove the option, or use an adapter that supports it. The table of [capabilities](presets.md) shows which do.',
  VALUE_UNSUPPORTED:
    'Store plain data: no functions, class instances, symbols or circular references. The message has the path to the value.',
  PAYLOAD_TOO_LARGE: 'Store the data elsewhere and pass its address, or raise `payloadLimit`.',
  VALIDATION_FAILED:
    'The message and `details.issues` say which member does not match. Correct the data or the schema.',
  QUEUE_FULL: 'Try again later, run more workers, or raise `maxQueueSize`.',
  JOB_NOT_FOUND:
    'Check the queue and the id. The job may have been removed, or have expired after [`retention`](../../plugins/jobs/retention/README.md).',
  JOB_FORGOTTEN:
    'Raise [`retention`](../../plugins/jobs/retention/README.md) to keep results longer. To run the job again, enqueue it with a new id.',
  JOB_STATE:
    'Read the state in the message. For example, only failed and cancelled jobs can be retried, and active jobs cannot be removed.',
  AI_BUDGET_EXCEEDED: 'Begin a new chat, or raise `budget` in the options of `answerChat`.',
  BULK_UNKNOWN: 'List the bulk actions with `kernel.bulkReports()`. The oldest reports are removed.',
  JOB_EXPIRED: 'Add workers, or raise `expiresIn`. Retry the job to run it nevertheless: its time then begins again.',
  JOB_TIMEOUT: 'Let the handler stop when `ctx.signal` aborts. Raise `timeout` if the work needs longer.',
  RESULT_TIMEOUT: 'Wait longer, or ask for the result later. The job is not affected.',
  JOB_CANCELLED: 'The job, its run or its flow was cancelled. The message has the reason. `retry` runs the job again.',
  JOB_CRASHED:
    'Its process died each time it ran the job. Look for memory that runs out, and for `process.exit`. `maxCrashes` sets the number.',
  JOB_RELEASED:
    'Nothing: the job runs again after the restart. To give jobs more time, raise the timeout of `close()`.',
  HANDLER_FAILED: 'Throw an `Error`, so that there is a stack.',
  BATCH_RESULT:
    'Return an array with one entry for each job, in the order of the jobs. An `Error` as an entry fails that job only.',
  LEASE_LOST:
    "Another process has the job. If it happens often, the event loop is blocked for longer than the lease: move the work into another process with `runtime: 'node-isolated'`.",
  RUN_NOT_FOUND: 'Check the id. The run may have expired after [`retention`](../../plugins/jobs/retention/README.md).',
  RUN_ENDED: 'Do not write to a run after its end. Start a new run, or use `fork`.',
  EMIT_DROPPED:
    'A plugin must not drop events of the kernel. Correct the `emit` hook that the message names: call `next()` for them.',
  EVENTS_CONFLICT: 'Read the stream again and repeat the write. `ctx.state.update` does this by itself.',
  EVENTS_TRIMMED: 'Read from `details.trimmed` on, or begin with a snapshot.',
  STORE_IN_USE: 'Stop the processes that the message lists, and run the command again.',
  STORE_MOVED:
    'Start the process with the store that the message names. To use the old store again before a move is complete, run `nuxt-queue migrate` with `--abort`.',
  STORE_NOT_EMPTY: 'Use another schema, prefix or folder, or add `--merge` to keep what the store has.',
  STORE_DIFFERS: 'Stop the processes that use the store, and import again with `--merge`.',
  EXPORT_INVALID: 'Use a file that `nuxt-queue export --all` has written. If it is incomplete, export again.',
  STORE_LOCKED: 'Stop the other process, or use another folder. For several processes, use Redis or PostgreSQL.',
  STORE_UNAVAILABLE:
    'Check that the store runs and has room. Jobs continue by themselves when the store is available again. Repeat your call, with an `id`.',
  STORE_REFUSED:
    'Read the message of the store. Either the user lacks a permission, or the store is read-only. [Deploying](../guides/deploying.md) lists what the user needs.',
  STORE_TIMEOUT:
    'The store is slow or cannot be reached. Look at its load, then raise the limit that the message names.',
  STORE_INCOMPATIBLE:
    'Deploy the version that wrote the data, or a newer one. If another program uses the folder or the schema, choose another one.',
  FLOW_UNKNOWN: "Check the name. The worker with `role: 'entry'` must be loaded in this process.",
  FLOW_INVALID: 'Correct the steps that the message names, for example a subscription to an event that no step emits.',
  FLOW_STEP_MISSING: 'Deploy the worker of the step again, or cancel the runs that wait for it.',
  FLOW_LIMIT: 'Check the condition that ends the loop, or raise `limit` of the step.',
  FLOW_CHILD_FAILED:
    'Look at the child run, whose id is in the message. Catch the error if the parent should continue.',
  QUERY_UNKNOWN:
    'Check the name. The process that responds must have the worker that declares the query in [`queries`](../guides/talking-to-a-run.md).',
  QUERY_FAILED:
    'Read the message and the `cause`, and correct the query. It receives the state as it is, so a key may not have been written yet.',
  UPDATE_UNKNOWN:
    'Check the name. The process that responds must have the worker that declares the update in [`updates`](../guides/talking-to-a-run.md).',
  UPDATE_REFUSED: 'Nothing was stored. The message has the reason that the validator returned.',
  UPDATE_FAILED: 'Nothing was stored. Read the message and the `cause`, and correct the validator or the handler.',
  WAIT_INVALID: 'Correct the member that the message names. [wait](../../plugins/flow/wait/README.md) lists them.',
  WAIT_TIMEOUT:
    'The wait received nothing in time. Raise `timeout`, or set `timeoutAction` so that the step continues without a response.',
  WAIT_UNKNOWN: 'Check the URL or the token. Either it is wrong, or its run has expired.',
  WAIT_OVER: 'Nothing: the wait already has a response or has timed out, or its run has ended.',
  STEP_MISMATCH: 'Use a different name for each sub-step and wait, and the same names in every attempt.',
  STEP_TIMEOUT: 'Raise the `timeout` of the sub-step, or give it more `attempts`.',
  STEP_SWALLOWED: 'Do not catch `Suspended`, or raise it again.',
  ENCRYPTION_KEY_MISSING:
    'Add the key with this id to `encryption.keys` or `NUXT_QUEUE_ENCRYPTION_KEYS`. Jobs wait for it and use up no attempt.',
  ENCRYPTION_FAILED:
    'Check that the key with this id has the same value in all processes. If it has, somebody has changed the store.',
  OFFLOAD_MISSING:
    'Check that all processes have the same `offload.storage`, and that nothing else removes values from it. Restore the value from a backup.',
  UPCAST_FAILED:
    'Correct the upcaster that the message names. It must return an event for every event that it receives.',
  SCHEDULE_INVALID: 'Correct the cron expression, the time zone or the target that the message names.',
  SCHEDULE_UNKNOWN: 'List the schedules with `npx nuxt-queue schedules`.',
  WEBHOOK_INVALID: 'Choose another path. The message names the path, and says what is wrong with it.',
  WEBHOOK_UNKNOWN: 'Check the path. The process that received the request must have the trigger or wait.',
  WEBHOOK_REFUSED: 'Check the secret on both sides, the clock, and that a proxy leaves the body as it is.',
  TRIGGER_UNKNOWN: 'List the triggers with `npx nuxt-queue triggers`.',
  TRIGGER_INVALID:
    'Correct the member that the message names. [triggers](../../plugins/flow/triggers/README.md) lists them.',
  TRIGGER_PAUSED: 'Resume the trigger: `kernel.resumeTrigger(name)`, or in the dashboard.',
  RATE_LIMITED: 'Wait for `details.retryAfter` milliseconds; over HTTP, for the seconds in `Retry-After`.',
  DEV_MISSING:
    'Start `npx nuxt-queue dev` or `nuxt dev` in that folder, or use an adapter whose store other processes can open.',
  DEV_RUNNING: 'Stop the other process, or pass another folder with `--cwd`.',
  ALERT_UNDELIVERED: 'Check the URL of the destination and its response, which the message contains.',
  ERROR_UNKNOWN:
    'List the error groups with `npx nuxt-queue errors`. A group that has not been seen for a long time is removed.',
  HISTORY_INVALID: 'Export the run again. A truncated file lacks its last lines.',
  ROUTE_UNKNOWN:
    'Check the path against [the HTTP API](http.md). In production, the API is closed until `http.token` or `http.authorize` is set.',
  METHOD_UNKNOWN: 'Use one of the methods in the header `Allow`.',
  REQUEST_INVALID: 'The message names the parameter or member. [The HTTP API](http.md) lists all of them.',
  MEDIA_TYPE_UNKNOWN: 'Send the header `content-type: application/json`.',
  REQUEST_FORBIDDEN:
    'Use a token whose role allows the action, or allow it in `http.authorize`. For a page of another site, set `http.cors`.',
  REQUEST_UNAUTHORIZED: 'Send `Authorization: Bearer <token>` with one of the tokens in `http.token`.',
  AUTHORIZE_TIMEOUT: 'Make `http.authorize` quicker, or raise `http.authorizeTimeout`.',
  CONNECTIONS_FULL: 'Close unused streams, run more processes, or raise `http.maxConnections`.',
}
