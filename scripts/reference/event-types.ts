/** The events that this package writes. A check compares the types with those in the sources. */

/** The type of an event, what it means, and the members of its data. */
type EventRow = readonly [type: string, meaning: string, data: string]

/** Events in the stream of a run: its history. */
export const RUN_EVENTS: Readonly<Record<string, readonly EventRow[]>> = {
  'Steps and jobs': [
    ['step.queued', 'A step of a flow was enqueued', '`cause`: the emit that caused it'],
    ['step.started', 'A worker began an attempt', '`queue`, `name`, `worker`, `claim`'],
    ['step.completed', 'The handler returned, and the job has ended', '`result`'],
    ['step.retry', 'The attempt failed, and the job runs again', '`error`, `runAt`'],
    ['step.failed', 'The job failed permanently', '`error`'],
    [
      'step.deferred',
      'The job runs again later, without using up an attempt',
      '`runAt`, `waits`: true if it stopped at a wait',
    ],
    ['step.cancelled', 'The job was cancelled', '`reason`'],
    ['unique.replaced', 'A further call with the same key replaced the data of the job', '`data`'],
    ['unique.begun', 'The first attempt began, so further calls no longer replace the data', '–'],
  ],
  'Sub-steps and waits': [
    ['step.memo', 'A sub-step (`ctx.step.run`) has a result', '`name`, `result`'],
    ['step.memo.failed', 'A sub-step failed', '`name`, `error`'],
    ['step.awaiting', 'The job waits', '`name`, the parts of the wait, `until`'],
    ['step.resumed', 'A wait is over', '`name`, and the payload or the timeout'],
    ['step.returned', 'The handler returned, and `awaitAfter` begins', '`result`'],
    ['step.told', 'A callback such as `onAwaitRegister` was called', '`what`'],
  ],
  'State, logs and messages': [
    ['state.set', 'A key of the state was set', '`key`, `value`'],
    ['state.delete', 'A key of the state was deleted', '`key`'],
    ['state.batch', 'Several keys were set at once', '`changes`: a list of `{ key, value }`'],
    ['runner.log', 'The handler wrote a log entry', '`level`, `message`, `meta`'],
    ['client.message', 'A stored message for clients (`ctx.client.send` with `store`)', '`type`, `data`'],
  ],
  Flows: [
    ['flow.started', 'A run of a flow began', '`input`, `step`, `version`, `tags`, `headers`'],
    ['emit', 'A step emitted an event of the flow', '`event`, `payload`'],
    ['group.closed', 'No more emits of a fan-out will come', '`event`'],
    ['flow.child', 'A step asked for a child run', '`runId`, `flow`, `wait`'],
    ['flow.child.started', 'The child run was started, without a wait', '`runId`, `flow`'],
    ['flow.awaited', 'Another run waits for this one', '`key`, `jobId`'],
    ['flow.updated', 'An update changed the run', '`name`, `id`, `input`, `result`, `signals`'],
    ['flow.compensating', 'Compensations begin', '`step`, `error`'],
    ['flow.forked', 'The run is a fork of another one', '`from`, `at`, `replace`'],
    ['flow.replaced', 'An earlier fork had given jobs new data', '`replace`'],
    ['flow.completed', 'The run has ended: no job is open', '`result`'],
    ['flow.failed', 'The run has ended with a failure', '`error`, `step`'],
    ['flow.cancelled', 'The run was cancelled', '`reason`'],
  ],
}

/** Events in streams of plugins. They have no stable data; use the methods that read them. */
export const PLUGIN_EVENTS: readonly (readonly [type: string, meaning: string, readBy: string])[] = [
  ['wait.registered', 'A job waits for an event', '`kernel.openWaits`'],
  ['wait.token', 'A URL of the wait', '`kernel.openWaits`'],
  ['wait.event', 'An event came', '`kernel.openWaits`'],
  ['wait.passed', 'The wait has seen an event', '`kernel.openWaits`'],
  ['wait.due', 'When a wait times out', '`kernel.openWaits`'],
  ['wait.closed', 'The wait is over', '`kernel.openWaits`'],
  ['wait.tidied', 'Old entries were removed', '–'],
  ['schedule.starting', 'The target of a schedule was started manually', '`kernel.scheduleDetails`'],
  ['schedule.started', 'The target of a schedule was started', '`kernel.scheduleDetails`'],
  ['trigger.fired', 'A trigger fired', '`kernel.triggerHistory`'],
  ['trigger.refused', 'A trigger refused a request or event', '`kernel.triggerHistory`'],
  ['debounce.opened', 'A window of a debounce began', '–'],
  ['debounce.closed', 'A window of a debounce ended', '–'],
  ['unique.opened', 'A job is the one of its key', '–'],
  ['unique.closed', 'The job of a key ended', '–'],
  ['worker.registered', 'A process has started its workers', '`kernel.instances`'],
  ['worker.heartbeat', 'A process is alive', '`kernel.instances`'],
  ['worker.stopped', 'A process has stopped', '`kernel.instances`'],
  ['stats.bucket', 'Numbers of jobs and times of a period', '`kernel.stats`'],
  ['errors.seen', 'Jobs failed with errors of these groups', '`kernel.errors`'],
  ['errors.status', 'An error group was resolved, ignored or reopened', '`kernel.errors`'],
  ['errors.state', 'All error groups so far', '`kernel.errors`'],
  ['audit.recorded', 'An action over HTTP changed something', '`kernel.audit`'],
]
