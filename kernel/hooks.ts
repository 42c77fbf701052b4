import { createHooks } from 'hookable'
import type { Chain, Chains, HookHandler, HookName, KernelHooks, MaybePromise, Next } from '../contracts/index.ts'
import { DeferredRun } from './deferral.ts'
import { isQueueError, QueueError } from './errors.ts'

const HOOK_NAMES = ['enqueue', 'dispatch', 'context', 'emit', 'reduce'] as const

interface Registration {
  (): void
  handler: HookHandler<never>
  plugin: string
  rank: number
}

/**
 * Holds the handlers of one kernel on a `hookable` bus. The bus is asked for its list once per
 * change of registrations; a call runs the composed chain, at a tenth of the price of `callHook`.
 */
export function createHookBus() {
  const bus = createHooks<Record<HookName, Registration>>()
  const chains = {} as Record<HookName, unknown>

  function recompose(name: HookName): void {
    const list = bus.callHookWith((registrations) => registrations as Registration[], name, [])
    chains[name] = list
      .toSorted((a, b) => a.rank - b.rank)
      .reduceRight<Chain<never>>(
        (inner, entry) => wrap(name, entry, inner),
        (payload, innermost) => innermost(payload),
      )
  }
  HOOK_NAMES.forEach(recompose)

  /** `rank` orders handlers, the smallest outermost; within a rank the order of registration holds. */
  function hook<Name extends HookName>(
    name: Name,
    handler: HookHandler<KernelHooks[Name]>,
    plugin: string,
    rank: number,
  ) {
    if (!HOOK_NAMES.includes(name) || typeof handler !== 'function') {
      const what = `Plugin "${plugin}" registers a ${typeof handler} on hook "${name}"`
      const expected = `Pass a function (payload, next) and one of: ${HOOK_NAMES.join(', ')}`
      throw new QueueError('HOOK_INVALID', `${what}. ${expected}.`, { plugin, hook: name })
    }
    const registration = Object.assign(() => {}, { handler, plugin, rank }) as unknown as Registration
    const remove = bus.hook(name, registration as never)
    recompose(name)
    return () => {
      remove()
      recompose(name)
    }
  }
  return { hook, chains: chains as Chains }
}

/** One handler's call: where its `next()` stands, and which error came out of it. */
interface Call {
  next: 'idle' | 'pending' | 'settled'
  foreign: { error: unknown } | undefined
}

function wrap<P>(name: HookName, { handler, plugin }: Registration, inner: Chain<P>): Chain<P> {
  return (payload, innermost) => {
    const call: Call = { next: 'idle', foreign: undefined }
    const next: Next = () => {
      if (call.next === 'pending' || (call.next === 'settled' && name !== 'dispatch')) {
        throw misuse('called next() twice', plugin, name)
      }
      call.next = 'pending'
      let result: MaybePromise<void>
      try {
        result = inner(payload, innermost)
      } catch (error) {
        return fail(call, error)
      }
      if (!isPromise(result)) return void (call.next = 'settled')
      const settling = result.then(
        () => void (call.next = 'settled'),
        (error: unknown) => fail(call, error),
      )
      // A handler that does not await next() is told so by `finish`; its error must not end the process.
      settling.catch(() => {})
      return settling
    }
    let result: MaybePromise<void>
    try {
      result = (handler as unknown as HookHandler<P>)(payload, next)
    } catch (error) {
      throw outwards(call, error, plugin, name)
    }
    if (!isPromise(result)) return finish(call, plugin, name)
    return result.then(
      () => finish(call, plugin, name),
      (error: unknown) => {
        throw outwards(call, error, plugin, name)
      },
    )
  }
}

function fail(call: Call, error: unknown): never {
  call.next = 'settled'
  call.foreign = { error }
  throw error
}

function finish(call: Call, plugin: string, name: HookName): void {
  if (call.next === 'settled') return
  if (call.next === 'pending') throw misuse('returned before next() had settled; await or return it', plugin, name)
  if (name === 'context' || name === 'reduce') throw misuse('never called next()', plugin, name)
}

/** Errors from further in pass as they are; coded ones learn where they came from; others are wrapped. */
function outwards({ foreign }: Call, error: unknown, plugin: string, hook: HookName): unknown {
  if (foreign?.error === error || error instanceof DeferredRun) return error
  if (isQueueError(error)) {
    error.plugin ??= plugin
    error.hook ??= hook
    return error
  }
  const said = error instanceof Error ? error.message : String(error)
  const message = `Plugin "${plugin}" failed in hook "${hook}": ${said}`
  return new QueueError('HOOK_FAILED', message, { cause: error, plugin, hook })
}

function misuse(what: string, plugin: string, hook: HookName): QueueError {
  return new QueueError('HOOK_INVALID', `Plugin "${plugin}" ${what}, in hook "${hook}".`, { plugin, hook })
}

export function isPromise<T>(value: MaybePromise<T>): value is Promise<T> {
  return typeof (value as { then?: unknown } | undefined | null)?.then === 'function'
}
