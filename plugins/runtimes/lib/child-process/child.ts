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
import { createOutput } from './output.ts'
import { createPeer } from './peer.ts'
import { HOST, PROTOCOL, RPC, type ExecuteResult, type InitializeResult, type Params } from './protocol.ts'
import type { SpawnedProcess } from './spawn.ts'
import { readUsage, usageOf, type ProcessFacts } from './usage.ts'
import { isRecord, RpcError } from './wire-error.ts'

/** One process that runs jobs, one at a time. */
export interface Child {
  /** Rejects with `RUNTIME_START_FAILED` and why. */
  readonly ready: Promise<void>
  readonly exited: Promise<unknown>
  readonly alive: boolean
  execute(ctx: RunContext): Promise<unknown>
  /** Lets it end by itself, then helps. */
  stop(): void
}

export interface ChildOptions {
  worker: WorkerDefinition
  file: string
  options: ResolvedProcessOptions
  maxMessage: number
  /** Where to note what an attempt's process has used. */
  facts: WeakMap<RunContext, ProcessFacts>
}

interface Execution {
  id: number
  ctx: RunContext
  /** Made with the first call. */
  calls: ContextCalls | undefined
  since: number
}

/** Speaks the protocol with a process. Whatever it does, this settles: with an answer, or with why there is none. */
export function createChild(
  spawned: SpawnedProcess,
  { worker, file, options, maxMessage, facts }: ChildOptions,
): Child {
  const { pid, input, output: channel, stdout, stderr } = spawned
  const printed = createOutput(options.maxOutput)
  if (stdout !== input) printed.follow(stdout, 'stdout')
  printed.follow(stderr, 'stderr')

  let current: Execution | undefined
  let capabilities: NonNullable<InitializeResult['capabilities']> = {}
  let alive = true
  let heard = performance.now()
  let cpuBefore = 0
  let rest = (): void => {}

  const peer = createPeer({
    send: (line) => void channel!.write(line),
    call,
    onInvalid: (_code, message) => giveUp(new QueueError('PROTOCOL_VIOLATION', `Worker "${worker.id}": ${message}`)),
  })
  const inbox = createInbox({
    input: input!,
    output: channel!,
    maxUnread: maxMessage,
    receive: (line) => void (alive && peer.receive(line)),
  })
  const reader = createLineReader({
    max: maxMessage,
    onLine: (text, cut) => void (cut === 0 && alive && inbox.take(text)),
    onOverflow: () => giveUp(tooLarge(worker.id, maxMessage)),
  })
  input!.on('data', (chunk: Buffer) => {
    heard = performance.now()
    reader.push(chunk)
  })
  input!.once('end', () => void (alive && spawned.terminate(options.killGrace)))

  const exited = spawned.exited.then((exit) => {
    alive = false
    rest()
    peer.end(exitError(worker.id, exit, printed.tail()))
  })

  function giveUp(error: QueueError): void {
    if (!alive) return
    alive = false
    peer.end(error)
    spawned.kill()
  }

  /** What the handler asks of its context. A call that nobody awaits is awaited by the end of the attempt. */
  function call(method: string, params: Params, id?: number | string): unknown {
    if (!current || params.execution !== current.id) {
      throw new RpcError(RPC.execution, `Execution ${String(params.execution)} has ended, or never was.`)
    }
    const { ctx } = current
    const calls = (current.calls ??= createContextCalls(ctx, capabilities.undefined === true ? undefined : null))
    const called = new Promise((resolve) => resolve(calls(method, params)))
    return inbox.counted(valueOf(id === undefined ? ctx.track(called) : called))
  }

  async function valueOf(called: Promise<unknown>): Promise<unknown> {
    const result = await called
    return result === undefined && capabilities.undefined !== true ? null : result
  }

  async function initialize(): Promise<void> {
    const about = { protocol: PROTOCOL, host: HOST, worker: { id: worker.id, file }, maxMessage }
    const { answer } = peer.request('initialize', about)
    const late = `It was not ready within ${options.startTimeout} ms. Raise startTimeout, or see what it waits for.`
    const timer = setTimeout(
      () => giveUp(new QueueError('RUNTIME_START_FAILED', late)),
      timerDelay(options.startTimeout),
    )
    try {
      const { protocol, capabilities: offered } = (await answer) as InitializeResult
      if (protocol !== PROTOCOL)
        throw new Error(`It speaks version ${String(protocol)} of the protocol, not ${PROTOCOL}.`)
      capabilities = isRecord(offered) ? offered : {}
      if (capabilities.heartbeat === true) rest = watchSilence()
    } catch (cause) {
      const error = startError(worker.id, cause, printed.tail())
      giveUp(error)
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
      heard: () => heard,
      ping: () => peer.request('ping').answer,
      silent: () => giveUp(silence(worker.id, limit)),
    })
  }

  /** An answer, after what was printed before it. */
  async function answered(answer: Promise<unknown>): Promise<unknown> {
    try {
      return await answer
    } finally {
      await printed.end()
    }
  }

  async function execute(ctx: RunContext): Promise<unknown> {
    const { id, answer } = peer.request('execute', { job: asJson(ctx.job), claim: ctx.claim })
    current = { id, ctx, calls: undefined, since: performance.now() }
    printed.begin(ctx)
    const note = (usage = readUsage(pid)): void => {
      const own = usage && { ...usage, cpu: Math.max(0, usage.cpu - cpuBefore) }
      facts.set(ctx, { pid, ...own })
      if (usage) cpuBefore = usage.cpu
    }
    const unwatch = watchAbort(ctx.signal, {
      note,
      cancel: (reason) => peer.notify('cancel', { execution: id, reason }),
      terminate: () => spawned.terminate(options.killGrace),
      grace: options.cancelGrace,
    })
    try {
      const result = await answered(answer)
      if (!isRecord(result)) throw new QueueError('PROTOCOL_VIOLATION', `Worker "${worker.id}" answered no object.`)
      const { value, defer, usage } = result as ExecuteResult
      if (!ctx.cancelled) note(usageOf(usage))
      if (defer) return defer.suspended === true ? suspended(ctx, worker.id) : ctx.defer(defer)
      return value
    } catch (error) {
      if (alive && !ctx.cancelled) note()
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

/** A job without the member that most have no value for, which would have to be written down as such. */
function asJson({ flow, ...job }: Job): object {
  if (!flow) return job
  const { name, step, cause } = flow
  return { ...job, flow: cause === undefined ? { name, step } : { name, step, cause } }
}

/** A handler was left: it is due with the first of the waits it has begun. */
function suspended({ step }: Partial<RunContext>, worker: string): Deferral {
  const deferral = step?.deferral()
  if (deferral) return deferral
  throw new QueueError('PROTOCOL_VIOLATION', `Worker "${worker}" answered that it waits, and has begun no wait.`)
}

export function startError(worker: string, thrown: unknown, tail: readonly string[] = []): QueueError {
  const cause = toError(thrown)
  const exited = (cause as Partial<QueueError>).code === 'RUNTIME_EXITED'
  const said = tail.length > 0 && !exited ? ` Its last words:\n${tail.join('\n')}` : ''
  const message = `Worker "${worker}" could not be started: ${cause.message}${said}`
  const { retryable } = cause as Partial<QueueError>
  const error = new QueueError('RUNTIME_START_FAILED', message, { cause, retryable })
  // Where the user's file failed says more than where that was noticed.
  if (cause.stack !== undefined) error.stack = `QueueError: ${message}\n${cause.stack}`
  return error
}

export function tooLarge(worker: string, limit: number): QueueError {
  const hint = 'Store what is large elsewhere and return a reference, or raise payloadLimit.'
  return new QueueError('PAYLOAD_TOO_LARGE', `Worker "${worker}" sent a message of more than ${limit} bytes. ${hint}`)
}

function silence(worker: string, limit: number): QueueError {
  return new QueueError('RUNTIME_SILENT', `The process of worker "${worker}" has not answered for ${limit} ms.`)
}
