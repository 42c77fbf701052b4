import { assertFree, QueueError, type RunContext } from '../../../../kernel/index.ts'
import { RPC, type Params } from './protocol.ts'
import { fromWire, isRecord, RpcError } from './wire-error.ts'

type Wait = Parameters<RunContext['step']['wait']>[1]

/** How many reads a swap can still refer to. */
const MAX_TOKENS = 1000

/**
 * What a handler in a child can do with its run: the methods of the protocol, on the context in this process.
 *
 * @param absent how a value is told that there is none of
 */
export function createContextCalls(ctx: RunContext, absent: null | undefined) {
  /** What `read` has handed out, by the token that `swap` brings back. */
  const seen = new Map<number, unknown>()
  let lastToken = 0

  async function swap(key: string, token: number, value: unknown) {
    if (!seen.has(token)) throw new RpcError(RPC.params, `There is no token ${token}; each serves one swap.`)
    const expected = seen.get(token)
    seen.delete(token)
    const swapped = await ctx.state.compareAndSet(key, expected, value)
    return swapped ? { swapped, value } : { swapped }
  }

  /** A handler outside may not stand in for plugins: neither by their queues nor by the options that they pass to each other. */
  function enqueue(worker: unknown, data: unknown, options?: Record<string, unknown>) {
    const to = target(worker)
    const queue = typeof to === 'string' ? ctx.kernel.registry.get(to)?.queue.name : to.queue
    if (queue !== undefined) assertFree('queue', queue)
    const taken = PLUGIN_OPTIONS.find((name) => options?.[name] !== undefined)
    if (taken === undefined) return ctx.kernel.enqueue(to, data, options)
    throw new QueueError('NAME_RESERVED', `Option "${taken}" of a job is for plugins. Leave it out.`, {
      retryable: false,
    })
  }

  const calls: Record<string, (params: Params) => unknown> = {
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

  /** @throws RpcError for a method there is not, or wrong parameters */
  return (method: string, params: Params): unknown => {
    const carryOut = Object.hasOwn(calls, method) ? calls[method]! : undefined
    if (!carryOut) {
      throw new RpcError(RPC.method, `There is no method "${method}". There are: ${Object.keys(calls).join(', ')}.`)
    }
    const [, member] = method.split('.') as [string, keyof RunContext]
    if (OF_PLUGINS.has(member) && ctx[member] === undefined) {
      throw new RpcError(RPC.method, `No plugin gives "ctx.${member}" here. Add the one that does.`)
    }
    return carryOut(params)
  }
}
export type ContextCalls = ReturnType<typeof createContextCalls>

const OF_PLUGINS: ReadonlySet<string> = new Set(['state', 'logger', 'flow', 'client', 'progress', 'step'])
/** Options that plugins pass to each other, and the transaction of a caller, which is an object of its process. */
const PLUGIN_OPTIONS = ['runId', 'flow', 'once', 'db'] as const
const LEVELS = ['debug', 'info', 'warn', 'error'] as const

function target(worker: unknown): string | { queue: string; name: string } {
  if (typeof worker === 'string') return worker
  const { queue, name } = record(worker, 'worker')
  return { queue: text(queue, 'worker.queue'), name: text(name, 'worker.name') }
}

/** An error as a parameter: a message, and what else the `data` of an error says. */
function failure(given: unknown): Error {
  const { message, ...data } = record(given, 'error')
  return fromWire({ code: RPC.failed, message: text(message, 'error.message'), data })
}

function optional<T>(value: unknown, name: string, read: (value: unknown, name: string) => T): T | undefined {
  return value === undefined || value === null ? undefined : read(value, name)
}

function text(value: unknown, name: string): string {
  if (typeof value === 'string') return value
  throw wrong(name, 'a string', value)
}

function flag(value: unknown, name: string): boolean {
  if (typeof value === 'boolean') return value
  throw wrong(name, 'a boolean', value)
}

function record(value: unknown, name: string): Record<string, unknown> {
  if (isRecord(value)) return value
  throw wrong(name, 'an object', value)
}

function oneOf<T extends string>(value: unknown, name: string, allowed: readonly T[]): T {
  if (allowed.includes(value as T)) return value as T
  throw wrong(name, `one of ${allowed.join(', ')}`, value)
}

function wrong(name: string, expected: string, value: unknown): RpcError {
  const came = value === undefined ? 'nothing' : (JSON.stringify(value)?.slice(0, 100) ?? typeof value)
  return new RpcError(RPC.params, `Parameter "${name}" is ${expected}; got ${came}.`)
}
