import { AsyncLocalStorage } from 'node:async_hooks'
import { createContext } from 'unctx'
import type { Kernel, RunContext } from '../contracts/index.ts'
import { QueueError } from './errors.ts'

// A function, because unctx stores functions directly but wraps an object in a WeakRef, which would cost one WeakRef for each job.
const runs = createContext<() => RunContext>({ asyncContext: true, AsyncLocalStorage })
const kernels = createContext<() => Kernel>({ asyncContext: true, AsyncLocalStorage })

/** Runs a handler so that `useRunContext()` finds its context, also after an `await`. */
export function runScope<T>(ctx: RunContext, callback: () => T): T {
  return runs.call(() => ctx, callback)
}

/** Runs code outside a job, such as the setup of a plugin, so that `useKernel()` finds the kernel. */
export function kernelScope<T>(kernel: Kernel, callback: () => Promise<T>): Promise<T> {
  return kernels.callAsync(() => kernel, callback)
}

/** Returns the context of the job that is running, or `undefined` outside a job. */
export function tryUseRunContext(): RunContext | undefined {
  return runs.tryUse()?.()
}

/**
 * Returns the context of the job that is running. Works in every function that a handler calls.
 *
 * @throws QueueError `CONTEXT_MISSING` outside a job
 * @example
 * async function audit(what: string) {
 *   await useRunContext().logger.info(what)
 * }
 */
export function useRunContext(): RunContext {
  const ctx = tryUseRunContext()
  if (ctx) return ctx
  throw new QueueError('CONTEXT_MISSING', 'useRunContext() works inside a handler and the functions it calls.')
}

/**
 * Returns the kernel that runs the current job or plugin setup.
 *
 * @throws QueueError `CONTEXT_MISSING` elsewhere
 */
export function useKernel(): Kernel {
  const kernel = tryUseRunContext()?.kernel ?? kernels.tryUse()?.()
  if (kernel) return kernel
  const hint = 'Elsewhere, use the kernel that createKernel() returned.'
  throw new QueueError('CONTEXT_MISSING', `useKernel() works inside a handler or the setup of a plugin. ${hint}`)
}
