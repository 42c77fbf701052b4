import {
  timerDelay,
  QueueError,
  toError,
  type Deferral,
  type Job,
  type RunContext,
  type WorkerDefinition,
} from '../../../../kernel/index.ts'
import { watchAbort } from './abort.ts'
import { createContextCalls, type ContextCalls } from './context-calls.ts'
import { exitError } from './exit-error.ts'
import { startHeartbeat } from './heartbeat.ts'
import { createInbox } from './inbox.ts'
import { createLineReader } from './lines.ts'
import type { ResolvedProcessOptions } from './options.ts'
import { createOutputLog } from './output.ts'
import { createPeer } from './peer.ts'
import { HOST, PROTOCOL, RPC, type ExecuteResult, type InitializeResult, type MessageParams } from './protocol.ts'
import type { SpawnedProcess } from './spawn.ts'
import { readUsage, usageOf, type ProcessFacts } from './usage.ts'
import { isRecord, RpcError } from './wire-error.ts'

/** A process that runs one job at a time. */
export interface Child {
  /** Resolves when the process can run jobs. Rejects with `RUNTIME_START_FAILED` and the reason. */
  readonly ready: Promise<void>
  readonly exited: Promise<unknown>
  readonly alive: boolean
  /** Runs a job, and returns the result of its handler. */
  execute(ctx: RunContext): Promise<unknown>
  /** Asks the process to end, and terminates it if it does not. */
  stop(): void
}

export interface ChildOptions {
  worker: WorkerDefinition
  file: string
  options: ResolvedProcessOptions
  maxMessage: number
  /** Receives the resource usage of each attempt. */
  facts: WeakMap<RunContext, ProcessFacts>
}

interface Execution {
  id: number
  ctx: RunContext
  /** Created with the first call. */
  calls: ContextCalls | undefined
  since: number
}

/** Speaks the protocol with a process. Each execution settles, whatever the process does. */
export function createChild(
  spawned: SpawnedProcess,
  { worker, file, options, maxMessage, facts }: ChildOptions,
): Child {
  const { pid, input, output: channel, stdout, stderr } = spawned
  const printed = createOutputLog(options.maxOutput)
  if (stdout !== input) printed.follow(stdout, 'stdout')
  printed.follow(stderr, 'stderr')

  let current: Execution | undefined
  let capabilities: NonNullable<InitializeResult['capabilities']> = {}
  let alive = true
  let lastHeard = performance.now()
  let cpuBefore = 0
  let stopHeartbeat = (): void => {}

  const peer = createPeer({
    send: (line) => void channel!.write(line),
    call,
    onInvalid: (_code, message) => fail(new QueueError('PROTOCOL_VIOLATION', `Worker "${worker.id}": ${message}`)),
  })
  const inbox = createInbox({
    input: input!,
    output: channel!,
    maxUnread: maxMessage,
    receive: (line) => void (alive && peer.receive(line)),
  })
  const reader = createLineReader({
    max: maxMessage,
    onLine: (text, cut) => void (cut === 0 && alive && inbox.push(text)),
    onOverflow: () => fail(tooLarge(worker.id, maxMessage)),
  })
  input!.on('data', (chunk: Buffer) => {
    lastHeard = performance.now()
    reader.push(chunk)
  })
  input!.once('end', () => void (alive && spawned.terminate(options.killGrace)))

  const exited = spawned.exited.then((exit) => {
    alive = false
    stopHeartbeat()
    peer.end(exitError(worker.id, exit, printed.tail()))
  })

  /** Ends the process because of an error, with which all open requests fail. */
  function fail(error: QueueError): void {
    if (!alive) return
    alive = false
    peer.end(error)
    spawned.kill()
  }

  /** Runs a context call of the handler. The end of the attempt waits for a notification, which no other code awaits. */
  function call(method: string, params: MessageParams, id?: number | string): unknown {
    if (!current || params.execution !== current.id) {
      throw new RpcError(RPC.execution, `Execution ${String(params.execution)} has ended or never existed.`)
    }
    const { ctx } = current
    const calls = (current.calls ??= createContextCalls(ctx, capabilities.undefined === true ? undefined : null))
    const called = new Promise((resolve) => resolve(calls(method, params)))
    return inbox.trackCall(valueOf(id === undefined ? ctx.track(called) : called))
  }

  async function valueOf(called: Promise<unknown>): Promise<unknown> {
    const result = await called
    return result === undefined && capabilities.undefined !== true ? null : result
  }

  async function initialize(): Promise<void> {
    const about = { protocol: PROTOCOL, host: HOST, worker: { id: worker.id, file }, maxMessage }
    const { response } = peer.request('initialize', about)
    const late = `It was not ready within ${options.startTimeout} ms. Raise startTimeout, or check what it waits for.`
    const timer = setTimeout(() => fail(new QueueError('RUNTIME_START_FAILED', late)), timerDelay(options.startTimeout))
    try {
      const { protocol, capabilities: offered } = (await response) as InitializeResult
      if (protocol !== PROTOCOL)
        throw new Error(`It speaks version ${String(protocol)} of the protocol. Version ${PROTOCOL} is required.`)
      capabilities = isRecord(offered) ? offered : {}
      if (capabilities.heartbeat === true) stopHeartbeat = watchSilence()
    } catch (cause) {
      const error = startError(worker.id, cause, printed.tail())
      fail(error)
      throw error
    } finally {
      clearTimeout(timer)
    }
  }

  function watchSilence(): () => void {
    const limit = options.heartbeatTimeout
    return startHeartbeat({
      limit,
      busySince: () => current?.since,
      lastHeard: () => lastHeard,
      ping: () => peer.request('ping').response,
      onSilent: () => fail(silence(worker.id, limit)),
    })
  }

  /** Waits for a response, and for the output that was printed before it. */
  async function receive(response: Promise<unknown>): Promise<unknown> {
    try {
      return await response
    } finally {
      await printed.end()
    }
  }

  async function execute(ctx: RunContext): Promise<unknown> {
    const { id, response } = peer.request('execute', { job: asJson(ctx.job), claim: ctx.claim })
    current = { id, ctx, calls: undefined, since: performance.now() }
    printed.begin(ctx)
    const record = (usage = readUsage(pid)): void => {
      const own = usage && { ...usage, cpu: Math.max(0, usage.cpu - cpuBefore) }
      facts.set(ctx, { pid, ...own })
      if (usage) cpuBefore = usage.cpu
    }
    const unwatch = watchAbort(ctx.signal, {
      record,
      cancel: (reason) => peer.notify('cancel', { execution: id, reason }),
      terminate: () => spawned.terminate(options.killGrace),
      grace: options.cancelGrace,
    })
    try {
      const result = await receive(response)
      if (!isRecord(result)) {
        const message = `Worker "${worker.id}" sent an invalid result of "execute". The result must be an object.`
        throw new QueueError('PROTOCOL_VIOLATION', message)
      }
      const { value, defer, usage } = result as ExecuteResult
      if (!ctx.cancelled) record(usageOf(usage))
      if (defer) return defer.suspended === true ? suspended(ctx, worker.id) : ctx.defer(defer)
      return value
    } catch (error) {
      if (alive && !ctx.cancelled) record()
      throw error
    } finally {
      current = undefined
      unwatch()
    }
  }

  return {
    ready: initialize(),
    exited,
    execute,
    get alive() {
      return alive
    },
    stop() {
      channel!.end()
      const term = setTimeout(() => spawned.terminate(options.killGrace / 2), timerDelay(options.killGrace / 2))
      void exited.then(() => clearTimeout(term))
    },
  }
}

/** Returns a job for the protocol, without `undefined` members of `flow`, which would need a tag in JSON. */
function asJson({ flow, ...job }: Job): object {
  if (!flow) return job
  const { name, step, cause } = flow
  return { ...job, flow: cause === undefined ? { name, step } : { name, step, cause } }
}

/** Returns the deferral of a handler that was suspended at a wait. The job is due when the first of its waits is due. */
function suspended({ step }: Partial<RunContext>, worker: string): Deferral {
  const deferral = step?.deferral()
  if (deferral) return deferral
  throw new QueueError(
    'PROTOCOL_VIOLATION',
    `Worker "${worker}" reported a suspended handler, but that handler has started no wait.`,
  )
}

/** Returns the error for a process that could not be started. `tail` holds the last lines of its stderr. */
export function startError(worker: string, thrown: unknown, tail: readonly string[] = []): QueueError {
  const cause = toError(thrown)
  const exited = (cause as Partial<QueueError>).code === 'RUNTIME_EXITED'
  const output = tail.length > 0 && !exited ? ` Its last output:\n${tail.join('\n')}` : ''
  const message = `Worker "${worker}" could not be started: ${cause.message}${output}`
  const { retryable } = cause as Partial<QueueError>
  const error = new QueueError('RUNTIME_START_FAILED', message, { cause, retryable })
  // The stack of the user's file is more helpful than the stack of this process.
  if (cause.stack !== undefined) error.stack = `QueueError: ${message}\n${cause.stack}`
  return error
}

/** Returns the error for a message of a child that is larger than `limit` bytes. */
export function tooLarge(worker: string, limit: number): QueueError {
  const hint = 'Store large data elsewhere and return a reference, or raise the option "payloadLimit".'
  return new QueueError('PAYLOAD_TOO_LARGE', `Worker "${worker}" sent a message of more than ${limit} bytes. ${hint}`)
}

function silence(worker: string, limit: number): QueueError {
  const hint = 'Keep its main thread responsive, or raise the option "heartbeatTimeout".'
  return new QueueError('RUNTIME_SILENT', `The process of worker "${worker}" did not respond for ${limit} ms. ${hint}`)
}
