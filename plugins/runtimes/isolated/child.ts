/** The program of an isolated worker. It loads the worker file, and runs one job at a time until the host disconnects. */
import { Socket } from 'node:net'
import { QueueError, runScope, toError, type WorkerModule } from '../../../kernel/index.ts'
import { createLineReader } from '../lib/child-process/lines.ts'
import { createPeer } from '../lib/child-process/peer.ts'
import {
  CHANNEL_FD,
  PROTOCOL,
  RPC,
  type CancelParams,
  type ExecuteParams,
  type ExecuteResult,
  type InitializeParams,
  type InitializeResult,
  type MessageParams,
} from '../lib/child-process/protocol.ts'
import { CHANNEL_VARIABLE } from '../lib/child-process/variables.ts'
import { isRecord, RpcError } from '../lib/child-process/wire-error.ts'
import { loadModule } from '../lib/load-module.ts'
import { asDeferral, createRemoteContext, suspended, type RemoteContext } from './context.ts'
import { traceOf } from './trace.ts'

/** The smallest accepted size limit of a message, in bytes. Any error fits into it. */
const MIN_MESSAGE = 4096

interface Running {
  execution: number
  ctx: RemoteContext
  /** Ends the execution before the handler has settled. */
  fail(error: Error): void
}

const socket = new Socket({ fd: Number(process.env[CHANNEL_VARIABLE] ?? CHANNEL_FD), readable: true, writable: true })
// Programs that the handler starts must not use the channel.
delete process.env[CHANNEL_VARIABLE]

// Output is written synchronously, so that it arrives before the response, and before this process can end.
for (const stream of [process.stdout, process.stderr]) {
  const { _handle: handle } = stream as { _handle?: { setBlocking?(on: boolean): void } }
  handle?.setBlocking?.(true)
}

let about: InitializeParams['worker'] | undefined
let module: WorkerModule | undefined
let maxMessage = Infinity
let running: Running | undefined

const peer = createPeer({
  send: (line) => void socket.write(line),
  call,
  onInvalid: (code, message) => peer.reportInvalid(code, message),
  maxMessage: () => maxMessage,
})
const reader = createLineReader({ max: Infinity, onLine: (text) => peer.receive(text) })
socket.on('data', (chunk: Buffer) => reader.push(chunk))
socket.on('end', () => process.exit(0))
socket.on('error', () => process.exit(0))
process.on('uncaughtException', (thrown) => {
  const error = toError(thrown)
  if (!running) process.stderr.write(`${error.stack ?? error.message}\n`)
  running?.fail(error)
  // The process may be in an inconsistent state now. It sends the response and then exits.
  setImmediate(() => socket.end(() => process.exit(1)))
})

function call(method: string, params: MessageParams, id?: number | string): unknown {
  switch (method) {
    case 'initialize':
      return initialize(params as unknown as InitializeParams)
    case 'execute':
      return execute(params as unknown as ExecuteParams, Number(id))
    case 'cancel':
      return cancel(params as unknown as CancelParams)
    case 'ping':
      return {}
    default:
      throw new RpcError(RPC.method, `Method "${method}" is unknown to a worker.`)
  }
}

async function initialize({ protocol, worker, maxMessage: limit }: InitializeParams): Promise<InitializeResult> {
  if (protocol !== PROTOCOL) {
    throw new RpcError(
      RPC.version,
      `This worker speaks version ${PROTOCOL} of the protocol; got version ${String(protocol)}.`,
    )
  }
  if (typeof worker?.file !== 'string' || !(limit >= MIN_MESSAGE)) {
    throw new RpcError(RPC.params, `"initialize" needs "worker.file", and a "maxMessage" of ${MIN_MESSAGE} or more.`)
  }
  maxMessage = limit
  about = worker
  module = await loadModule(worker.file).catch((error: unknown) => {
    throw new RpcError(RPC.load, toError(error).message, error)
  })
  if (!module.handler) throw new RpcError(RPC.load, `${worker.file} has no handler. Export a handler as default.`)
  return { protocol, runtime: { name: 'node', version: process.versions.node }, capabilities: { undefined: true } }
}

async function execute(params: ExecuteParams, execution: number): Promise<ExecuteResult> {
  if (!isRecord(params.job)) throw new RpcError(RPC.params, '"execute" needs the parameter "job".')
  if (!about || !module?.handler) throw new RpcError(RPC.invalid, 'Send "initialize" first.')
  if (running) throw new RpcError(RPC.invalid, `Execution ${running.execution} is still running.`)
  const { handler, config } = module
  let isSuspended = false
  const outcome = Promise.withResolvers<unknown>()
  const context = createRemoteContext(peer, execution, params, { ...about, config }, () => {
    isSuspended = true
    outcome.resolve(suspended())
  })
  const { ctx } = context
  try {
    running = { execution, ctx: context, fail: outcome.reject }
    const inTrace = await traceOf(ctx.job.headers)
    // Not `resolve(promise)`, which would wait for a suspended handler that never settles.
    void (async () => inTrace(() => runScope(ctx, () => handler(ctx.job, ctx))))().then(outcome.resolve, outcome.reject)
    const value = await outcome.promise
    await context.settle()
    const defer = asDeferral(value)
    return { ...(defer ? { defer } : { value }), usage: usage() }
  } catch (thrown) {
    const defer = asDeferral(thrown)
    if (defer) return { defer, usage: usage() }
    throw thrown
  } finally {
    running = undefined
    context.end(isSuspended)
  }
}

function cancel({ execution, reason }: CancelParams): void {
  if (running?.execution !== execution) return
  running.ctx.abort(new QueueError(reason.code as QueueError['code'], reason.message))
}

function usage() {
  const { maxRSS, userCPUTime, systemCPUTime } = process.resourceUsage()
  return { maxRss: maxRSS * 1024, cpu: (userCPUTime + systemCPUTime) / 1000 }
}
