import { assertFree, QueueError, type RunContext } from '../../../../kernel/index.ts'
import { RPC, type MessageParams } from './protocol.ts'
import { fromWire, isRecord, RpcError } from './wire-error.ts'

type Wait = Parameters<RunContext['step']['wait']>[1]

/** How many tokens of `ctx.state.read` remain valid. */
const MAX_TOKENS = 1000

/**
 * Returns a function that runs the `ctx.*` methods of the protocol on the context in this process.
 *
 * @param absent what the child receives for a missing value
 * @throws RpcError for an unknown method or invalid parameters
 */
export function createContextCalls(ctx: RunContext, absent: null | undefined) {
  /** Values that `ctx.state.read` has returned, by the token that `ctx.state.swap` sends. */
  const seen = new Map<number, unknown>()
  let lastToken = 0

  async function swap(key: string, token: number, value: unknown) {
    if (!seen.has(token)) throw new RpcError(RPC.params, `Token ${token} is unknown. Each token is valid for one swap.`)
    const expected = seen.get(token)
    seen.delete(token)
    const swapped = await ctx.state.compareAndSet(key, expected, value)
    return swapped ? { swapped, value } : { swapped }
  }

  /** A handler in a child may use neither the queues of plugins nor the options that plugins pass to each other. */
  function enqueue(worker: unknown, data: unknown, options?: Record<string, unknown>) {
    const to = target(worker)
    const queue = typeof to === 'string' ? ctx.kernel.registry.get(to)?.queue.name : to.queue
    if (queue !== undefined) assertFree('queue', queue)
    const taken = PLUGIN_OPTIONS.find((name) => options?.[name] !== undefined)
    if (taken === undefined) return ctx.kernel.enqueue(to, data, options)
    throw new QueueError('NAME_RESERVED', `Job option "${taken}" is reserved for plugins. Remove it.`, {
      retryable: false,
    })
  }

  const calls: Record<string, (params: MessageParams) => unknown> = {
    'ctx.state.get': ({ key }) => ctx.state.get(text(key, 'key')),
    'ctx.state.has': ({ key }) => ctx.state.has(text(key, 'key')),
    'ctx.state.getAll': () => ctx.state.getAll(),
    'ctx.state.set': ({ key, value }) => ctx.state.set(text(key, 'key'), value),
    'ctx.state.setBatch': ({ values }) => ctx.state.setBatch(record(values, 'values')),
    'ctx.state.delete': ({ key }) => ctx.state.delete(text(key, 'key')),
    'ctx.state.read': async ({ key }) => {
      const value = await ctx.state.get(text(key, 'key'))
      seen.set(++lastToken, value)
      seen.delete(lastToken - MAX_TOKENS)
      return { value: value === undefined ? absent : value, token: lastToken }
    },
    'ctx.state.swap': ({ key, token, value }) => swap(text(key, 'key'), Number(token), value),
    'ctx.logger.log': ({ level, message, meta }) =>
      ctx.logger.log(oneOf(level, 'level', LEVELS), text(message, 'message'), optional(meta, 'meta', record)),
    'ctx.flow.emit': ({ event, payload, immediate }) =>
      ctx.flow.emit(text(event, 'event'), payload, { immediate: immediate === true }),
    'ctx.flow.start': ({ flow, input, options }) =>
      ctx.flow.begin(text(flow, 'flow'), input, optional(options, 'options', record)),
    'ctx.flow.cancel': ({ reason }) => ctx.flow.cancel(optional(reason, 'reason', text)),
    'ctx.flow.query': ({ flow, runId, name, input }) =>
      ctx.kernel.flow(text(flow, 'flow')).query(text(runId, 'runId'), text(name, 'name'), input),
    'ctx.flow.update': ({ flow, runId, name, input, id }) =>
      ctx.kernel
        .flow(text(flow, 'flow'))
        .update(text(runId, 'runId'), text(name, 'name'), input, onlyId(optional(id, 'id', text))),
    'ctx.flow.signal': async ({ flow, runId, name, payload, id }) => {
      const handle = ctx.kernel.flow(text(flow, 'flow'))
      await handle.signal(text(runId, 'runId'), text(name, 'name'), payload, onlyId(optional(id, 'id', text)))
    },
    'ctx.client.send': ({ type, data, store }) =>
      ctx.client.send(text(type, 'type'), data, { store: optional(store, 'store', flag) }),
    'ctx.client.hasSubscribers': () => ctx.client.hasSubscribers(),
    'ctx.progress': ({ value, message }) => ctx.progress(value as number, (message ?? undefined) as string | undefined),
    'ctx.step.lookup': ({ name }) => ctx.step.lookup(text(name, 'name')),
    'ctx.step.record': ({ name, result }) => ctx.step.record(text(name, 'name'), result),
    'ctx.step.fail': ({ name, error }) => ctx.step.fail(text(name, 'name'), failure(error)),
    'ctx.step.wait': ({ name, wait }) => ctx.step.wait(text(name, 'name'), record(wait, 'wait') as unknown as Wait),
    'ctx.emit': ({ type, data, key }) => ctx.emit(text(type, 'type'), data, { key: optional(key, 'key', text) }),
    'ctx.enqueue': ({ worker, data, options }) => enqueue(worker, data, optional(options, 'options', record)),
    'ctx.cancelled': () => ctx.cancelled,
  }

  return (method: string, params: MessageParams): unknown => {
    const run = Object.hasOwn(calls, method) ? calls[method]! : undefined
    if (!run) {
      throw new RpcError(RPC.method, `Method "${method}" is unknown. Use one of: ${Object.keys(calls).join(', ')}.`)
    }
    const [, member] = method.split('.') as [string, keyof RunContext]
    if (PLUGIN_MEMBERS.has(member) && ctx[member] === undefined) {
      throw new RpcError(RPC.method, `"ctx.${member}" is missing, because its plugin is not installed. Add the plugin.`)
    }
    return run(params)
  }
}
export type ContextCalls = ReturnType<typeof createContextCalls>

/** Members of the context that plugins add. */
const PLUGIN_MEMBERS: ReadonlySet<string> = new Set(['state', 'logger', 'flow', 'client', 'progress', 'step'])
/** Options that plugins pass to each other, and `db`, the transaction of a caller, which cannot leave its process. */
const PLUGIN_OPTIONS = ['runId', 'flow', 'once', 'db'] as const
const LEVELS = ['debug', 'info', 'warn', 'error'] as const

function target(worker: unknown): string | { queue: string; name: string } {
  if (typeof worker === 'string') return worker
  const { queue, name } = record(worker, 'worker')
  return { queue: text(queue, 'worker.queue'), name: text(name, 'worker.name') }
}

/** Reads an error from a parameter: its message, and the members of the `data` of a protocol error. */
function failure(given: unknown): Error {
  const { message, ...data } = record(given, 'error')
  return fromWire({ code: RPC.failed, message: text(message, 'error.message'), data })
}

const onlyId = (id: string | undefined): { id?: string } => (id === undefined ? {} : { id })

function optional<T>(value: unknown, name: string, read: (value: unknown, name: string) => T): T | undefined {
  return value === undefined || value === null ? undefined : read(value, name)
}

function text(value: unknown, name: string): string {
  if (typeof value === 'string') return value
  throw invalidParameter(name, 'a string', value)
}

function flag(value: unknown, name: string): boolean {
  if (typeof value === 'boolean') return value
  throw invalidParameter(name, 'a boolean', value)
}

function record(value: unknown, name: string): Record<string, unknown> {
  if (isRecord(value)) return value
  throw invalidParameter(name, 'an object', value)
}

function oneOf<T extends string>(value: unknown, name: string, allowed: readonly T[]): T {
  if (allowed.includes(value as T)) return value as T
  throw invalidParameter(name, `one of ${allowed.join(', ')}`, value)
}

function invalidParameter(name: string, expected: string, value: unknown): RpcError {
  const received = value === undefined ? 'nothing' : (JSON.stringify(value)?.slice(0, 100) ?? typeof value)
  return new RpcError(RPC.params, `Parameter "${name}" must be ${expected}; got ${received}.`)
}
