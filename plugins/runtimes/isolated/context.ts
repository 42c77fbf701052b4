import {
  defineWorker,
  fitText,
  QueueError,
  systemClock,
  toError,
  type Deferral,
  type DeferOptions,
  type Kernel,
  type RunContext,
  type StoredEvent,
  type WorkerConfig,
} from '../../../kernel/index.ts'
import type { ChildPeer } from '../lib/child-process/peer.ts'
import type { ExecuteParams, ExecuteResult } from '../lib/child-process/protocol.ts'
import { isRecord, toWire } from '../lib/child-process/wire-error.ts'
import { toLogEntry, toLoggableEntry, type LogEntry } from '../../lib/loggable.ts'
import { createStepRunner, DEFAULT_STEP_GRACE } from '../../lib/sub-steps.ts'
import type { PauseState } from '../../lib/suspension.ts'
import type { CallHost } from './ask.ts'
import { createRemoteState } from './state.ts'

type StartFlow = RunContext['flow']['start']
type EventWait = Parameters<RunContext['step']['waitForEvent']>[1]

interface About {
  id: string
  file: string
  config: WorkerConfig | undefined
}

/** Creates the context of a handler in a child process. It has the usual members, and calls the host for each of them. */
export function createRemoteContext(
  peer: ChildPeer,
  execution: number,
  { job, claim }: ExecuteParams,
  { id, file, config }: About,
  suspend: () => void,
) {
  const controller = new AbortController()
  const tracked: Promise<unknown>[] = []
  let ended = false
  let isSuspended = false

  const ask: CallHost = async (method, params) => {
    // A suspended handler must not continue.
    if (isSuspended) return new Promise(() => {})
    if (ended) {
      throw new QueueError(
        'RUN_ENDED',
        `"${method}" was called after its job had ended. Await every call in the handler.`,
      )
    }
    return peer.request(method, { execution, ...params }).response
  }
  const log: RunContext['logger']['log'] = async (level, given, facts) => {
    if (ended) return
    const entry = toLogEntry(given, facts)
    const about = { execution, level }
    try {
      peer.notify('ctx.logger.log', { ...about, ...asParams(entry) })
    } catch {
      // The entry itself cannot be serialized.
      peer.notify('ctx.logger.log', { ...about, ...asParams(toLoggableEntry(entry.message, entry.meta)) })
    }
  }

  const track = <T>(promise: Promise<T>): Promise<T> => {
    promise.catch(() => {})
    tracked.push(promise)
    return promise
  }
  const { steps, pause } = remoteSteps(ask, job.runId, {
    suspend,
    signal: () => controller.signal,
    clock: systemClock,
    grace: DEFAULT_STEP_GRACE,
    invocation: () => 1,
    track: (promise) => void track(promise),
  })
  const begin: RunContext['flow']['begin'] = (flow, input, options) =>
    ask('ctx.flow.start', { flow, ...definedOnly({ input, options }) }) as Promise<PauseState>
  const members = {
    kernel: remoteKernel(ask),
    job,
    worker: { ...defineWorker({ id, config, absPath: file }), queue: { name: job.queue }, name: job.name },
    runId: job.runId,
    attempt: job.attempt,
    claim,
    signal: controller.signal,
    get cancelled() {
      return controller.signal.aborted
    },
    state: createRemoteState(ask),
    logger: {
      log,
      debug: (message, meta) => log('debug', message, meta),
      info: (message, meta) => log('info', message, meta),
      warn: (message, meta) => log('warn', message, meta),
      error: (message, meta) => log('error', message, meta),
    },
    flow: {
      emit: async (event, payload, { immediate } = {}) =>
        void (await ask('ctx.flow.emit', { event, ...definedOnly({ payload, immediate }) })),
      cancel: async (reason) => void (await ask('ctx.flow.cancel', definedOnly({ reason }))),
      start: (async (flow: string, input?: unknown, options?: { wait?: boolean }) =>
        options?.wait === true
          ? pause(() => begin(flow, input, options))
          : ((await begin(flow, input, options)) as { result?: unknown }).result) as StartFlow,
      begin,
    },
    client: {
      send: async (type, data?, { store } = {}) =>
        void (await ask('ctx.client.send', { type, ...definedOnly({ data, store }) })),
      hasSubscribers: async () => (await ask('ctx.client.hasSubscribers')) === true,
    },
    progress: async (value, message) => void (await ask('ctx.progress', { value, ...definedOnly({ message }) })),
    reportProgress: async (value) => void (await ask('ctx.progress', { value })),
    step: steps,
    emit: (type, data, { key } = {}) =>
      ask('ctx.emit', { type, ...definedOnly({ data, key }) }) as Promise<StoredEvent | undefined>,
    track,
    outbox: [],
    defer: (options) => new RemoteDeferral(options),
    leave: suspend,
    invocation: 1,
  } satisfies Partial<RunContext>

  return {
    /** Members that plugins of the application add are missing, as the README says. */
    ctx: members as object as RunContext,
    abort: (reason: Error) => controller.abort(reason),
    /** Waits for all tracked promises, including promises that are added while it waits. */
    async settle(): Promise<void> {
      for (let next = tracked.shift(); next; next = tracked.shift()) await next
    },
    /** @param suspended whether the handler was suspended at a wait */
    end(suspended: boolean): void {
      ended = true
      isSuspended = suspended
    },
  }
}
export type RemoteContext = ReturnType<typeof createRemoteContext>

function remoteSteps(
  ask: CallHost,
  runId: string,
  own: Omit<Parameters<typeof createStepRunner>[0], 'lookup' | 'record' | 'fail'>,
) {
  const lookup: RunContext['step']['lookup'] = (name) =>
    ask('ctx.step.lookup', { name }) as ReturnType<RunContext['step']['lookup']>
  const record: RunContext['step']['record'] = (name, result) => ask('ctx.step.record', { name, result })
  const fail: RunContext['step']['fail'] = (name, thrown) => {
    const { message, data } = toWire(toError(thrown))
    return ask('ctx.step.fail', { name, error: { message, ...data } }) as ReturnType<RunContext['step']['fail']>
  }
  const wait: RunContext['step']['wait'] = (name, asked) =>
    ask('ctx.step.wait', { name, wait: asked }) as ReturnType<RunContext['step']['wait']>
  const runner = createStepRunner({ lookup, record, fail, ...own })
  const waitFor = async (given: string, asked: Parameters<typeof wait>[1]): Promise<unknown> => {
    const name = runner.uniqueName(given)
    return runner.pause(() => wait(name, asked))
  }
  const steps: RunContext['step'] = {
    run: runner.run,
    lookup,
    record,
    fail,
    wait,
    look: () => Promise.reject(missing('step.look')),
    pause: runner.pause,
    async sleep(name, until) {
      const asked = typeof until === 'number' ? { delay: until } : { until: until.getTime() }
      await waitFor(name, { kind: 'sleep', ...asked })
    },
    async waitForEvent<T>(name: string, { filter, ...options }: EventWait) {
      if (filter) throw missing('step.waitForEvent(…, { filter })')
      return (await waitFor(name, { kind: 'event', ...options })) as T | undefined
    },
    async waitForSignal<T>(name: string, { timeout }: { timeout?: number } = {}) {
      const asked = { kind: 'event' as const, event: name, key: fitText(runId), ...definedOnly({ timeout }) }
      return (await waitFor(name, asked)) as T | undefined
    },
    deferral: () => suspended(),
  }
  return { steps, pause: runner.pause }
}

/** Returns the result of a handler that was suspended at a wait. */
export function suspended(): Deferral {
  return new RemoteDeferral({}, true)
}

/** A class, so that `asDeferral` recognizes it when a handler returns or throws it. */
class RemoteDeferral {
  readonly runAt: number
  readonly holdQueue: boolean
  /** Whether the handler was suspended at a wait. The host knows the wait. */
  readonly suspended: boolean

  constructor({ delay = 0, until, holdQueue = false }: DeferOptions, suspended = false) {
    this.runAt = Number(until ?? systemClock.now() + delay)
    this.holdQueue = holdQueue
    this.suspended = suspended
  }
}

export function asDeferral(value: unknown): ExecuteResult['defer'] {
  if (!(value instanceof RemoteDeferral)) return undefined
  const { runAt, holdQueue, suspended } = value
  return suspended ? { suspended } : { until: runAt, holdQueue }
}

/** Returns the part of the kernel that a handler in a child process can use: `enqueue`, `clock`, and messages to runs of flows. */
function remoteKernel(ask: CallHost): Kernel {
  const kernel = {
    clock: systemClock,
    enqueue: (worker: unknown, data?: unknown, options?: object) =>
      ask('ctx.enqueue', { worker, ...definedOnly({ data, options }) }),
    flow: (flow: string) => ({
      query: (runId: string, name: string, input?: unknown) =>
        ask('ctx.flow.query', { flow, runId, name, ...definedOnly({ input }) }),
      update: (runId: string, name: string, input?: unknown, options: { id?: string } = {}) =>
        ask('ctx.flow.update', { flow, runId, name, ...definedOnly({ input, ...options }) }),
      signal: (runId: string, name: string, payload?: unknown, options: { id?: string } = {}) =>
        ask('ctx.flow.signal', { flow, runId, name, ...definedOnly({ payload, ...options }) }),
    }),
  }
  return new Proxy(kernel as unknown as Kernel, {
    get(target, name) {
      if (name in target || typeof name === 'symbol' || name === 'then') return Reflect.get(target, name) as unknown
      throw missing(`kernel.${name}`)
    },
  })
}

function missing(member: string): QueueError {
  const hint =
    'It exists only in the process of the application. Enqueue a job there, or run this worker with runtime "node".'
  return new QueueError('CONTEXT_MISSING', `"ctx.${member}" is not available in an isolated process. ${hint}`)
}

/** Returns a log entry for the protocol, which requires `meta` to be an object. */
function asParams({ message, meta }: LogEntry): object {
  if (meta === undefined || meta === null) return { message }
  return { message, meta: isRecord(meta) ? meta : { meta } }
}

/** Removes `undefined` members, which would need a tag in JSON. */
function definedOnly(params: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(params).filter(([, value]) => value !== undefined))
}
