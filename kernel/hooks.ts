import { createHooks } from 'hookable'
import type { Chain, Chains, HookHandler, HookName, HookOptions, KernelHooks } from '../contracts/index.ts'
import type { MaybePromise, Next, Reporter } from '../contracts/index.ts'
import { isDeferral } from './deferral.ts'
import { isQueueError, QueueError, toError } from './errors.ts'
import { isPromise } from './promises.ts'

const HOOK_NAMES = ['enqueue', 'dispatch', 'context', 'emit', 'reduce'] as const

interface Registration<P> extends HookOptions<P> {
  handler: HookHandler<P>
  plugin: string
  /** Orders handlers: the handler with the smallest rank is outermost. Handlers of the same rank keep the order of registration. */
  rank: number
}

/** A handler on the bus. Adds its registration to the list that a chain is made of. */
type Link = (registrations: Registration<never>[]) => void

/**
 * Holds the handlers of one kernel. `hookable` keeps and removes them; its `callHookWith` composes them into one
 * middleware chain whenever a registration changes. Each event then runs the composed chain, which costs a tenth of
 * `callHook`.
 */
export function createHookBus(reporter: Reporter) {
  const bus = createHooks<Record<HookName, Link>>()
  const chains = {} as Record<HookName, unknown>

  function recompose(name: HookName): void {
    const registrations: Registration<never>[] = []
    bus.callHookWith((links) => links.forEach((link) => void link(registrations)), name, [registrations])
    chains[name] = compose(
      name,
      registrations.toSorted((a, b) => a.rank - b.rank),
      reporter,
    )
  }
  HOOK_NAMES.forEach(recompose)

  function hook<Name extends HookName>(name: Name, registration: Registration<KernelHooks[Name]>): () => void {
    const { handler, plugin } = registration
    if (!HOOK_NAMES.includes(name) || typeof handler !== 'function') {
      const what = `Plugin "${plugin}" registers a ${typeof handler} on hook "${name}"`
      const expected = `Pass a function (payload, next) and one of: ${HOOK_NAMES.join(', ')}`
      throw new QueueError('HOOK_INVALID', `${what}. ${expected}.`, { plugin, hook: name })
    }
    const remove = bus.hook(name, (registrations) => registrations.push(registration as Registration<never>))
    recompose(name)
    return () => {
      remove()
      recompose(name)
    }
  }
  return { hook, chains: chains as Chains }
}

/**
 * Composes handlers, the outermost first, into one chain. A chain walks over the handlers whose `when` refuses the payload in a loop,
 * because most of the handlers of a kernel do not concern most of its events.
 */
function compose<P>(name: HookName, registrations: readonly Registration<P>[], reporter: Reporter): Chain<P> {
  const links = registrations.map((one) => (one.after ? notify(name, one, reporter) : wrap(name, one)))
  const conditions = registrations.map(({ when }) => when)
  const { length } = registrations

  function runFrom(first: number, payload: P, innermost: Innermost<P>): MaybePromise<void> {
    for (let index = first; index < length; index++) {
      const when = conditions[index]
      if (when === undefined || when(payload)) return links[index]!(payload, innermost, index + 1, runFrom)
    }
    return innermost(payload)
  }
  return (payload, innermost) => runFrom(0, payload, innermost)
}

type Innermost<P> = Parameters<Chain<P>>[1]
/** Runs the handlers of a chain from an index on, and then its innermost function. */
type RunFrom<P> = (first: number, payload: P, innermost: Innermost<P>) => MaybePromise<void>
/** Runs one handler around the rest of the chain, which begins at `rest`. */
type Around<P> = (payload: P, innermost: Innermost<P>, rest: number, runFrom: RunFrom<P>) => MaybePromise<void>

/** One call of a handler: the state of its `next()`, and the error that `next()` failed with. */
interface Call {
  next: 'idle' | 'pending' | 'settled'
  /** The promise that `next()` returned, if any. */
  settling: Promise<void> | undefined
  foreign: { error: unknown } | undefined
}

function wrap<P>(name: HookName, { handler, plugin }: Registration<P>): Around<P> {
  return (payload, innermost, rest, runFrom) => {
    const call: Call = { next: 'idle', settling: undefined, foreign: undefined }
    const next: Next = () => {
      if (call.next === 'pending' || (call.next === 'settled' && name !== 'dispatch')) {
        throw misuse('called next() twice', plugin, name)
      }
      call.next = 'pending'
      let result: MaybePromise<void>
      try {
        result = runFrom(rest, payload, innermost)
      } catch (error) {
        call.next = 'settled'
        call.foreign = { error }
        throw error
      }
      if (!isPromise(result)) return void (call.next = 'settled')
      watch(call, result)
      return result
    }
    let result: MaybePromise<void>
    try {
      result = handler(payload, next)
    } catch (error) {
      return rethrow(call, error, plugin, name)
    }
    if (!isPromise(result)) return checkNext(call, plugin, name)
    if (result === call.settling) return result
    return result.then(
      () => checkNext(call, plugin, name),
      (error: unknown) => rethrow(call, error, plugin, name),
    )
  }
}

/** Calls the handler after the chain inside it. Its errors are reported, because nothing waits for it. */
function notify<P>(name: HookName, { handler, plugin }: Registration<P>, reporter: Reporter): Around<P> {
  const next = (): never => {
    throw misuse('called next() with the option "after"', plugin, name)
  }
  const failed = (error: unknown): void => reporter.error(`Plugin "${plugin}" failed after hook "${name}".`, error)
  const call = (payload: P): void => {
    try {
      const returned = handler(payload, next)
      if (isPromise(returned)) returned.then(undefined, failed)
    } catch (error) {
      failed(error)
    }
  }
  return (payload, innermost, rest, runFrom) => {
    const ended = runFrom(rest, payload, innermost)
    if (!isPromise(ended)) return call(payload)
    // Returning the promise itself saves further promises for each event. The caller handles its rejection.
    ended.then(
      () => call(payload),
      () => {},
    )
    return ended
  }
}

/** Records how `next()` ends. Handles its rejection, so that a handler that does not await `next()` cannot end the process. */
function watch(call: Call, settling: Promise<void>): void {
  call.settling = settling
  settling.then(
    () => void (call.next = 'settled'),
    (error: unknown) => {
      call.next = 'settled'
      call.foreign = { error }
    },
  )
}

/** @throws QueueError `HOOK_MISUSED` for a handler that did not await `next()`, or did not call it although the hook requires it */
function checkNext(call: Call, plugin: string, name: HookName): void {
  if (call.next === 'settled') return
  if (call.next === 'pending') throw misuse('returned before next() had settled. Await or return next()', plugin, name)
  if (name === 'context' || name === 'reduce') throw misuse('never called next()', plugin, name)
}

/** Rethrows errors of inner handlers unchanged. Adds plugin and hook to errors with a code, and wraps all other errors. */
function rethrow({ foreign }: Call, error: unknown, plugin: string, hook: HookName): never {
  if (foreign?.error === error || isDeferral(error)) throw error
  if (isQueueError(error)) {
    if (Object.isExtensible(error)) Object.assign(error, { plugin: error.plugin ?? plugin, hook: error.hook ?? hook })
    throw error
  }
  const message = `Plugin "${plugin}" failed in hook "${hook}": ${toError(error).message}`
  throw new QueueError('HOOK_FAILED', message, { cause: error, plugin, hook })
}

function misuse(what: string, plugin: string, hook: HookName): QueueError {
  return new QueueError('HOOK_MISUSED', `Plugin "${plugin}" ${what}, in hook "${hook}".`, { plugin, hook })
}
