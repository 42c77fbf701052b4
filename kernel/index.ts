export type * from '../contracts/index.ts'
export { clampProgress, endKey, refusal } from './attempt.ts'
export { backoffDelay } from './backoff.ts'
export * from './bounds.ts'
export { systemClock, timerDelay } from './clock.ts'
export { isDeferral } from './deferral.ts'
export { defineQueueConfig, defineQueueWorker, definePlugin, definePreset } from './define.ts'
export {
  cutText,
  describeValue,
  isError,
  isFinalRefusal,
  isQueueError,
  QueueError,
  readMember,
  toError,
} from './errors.ts'
export { orderPlugins } from './plugins.ts'
export { hasGivenId } from './given-id.ts'
export { isPromise } from './hooks.ts'
export { callListener } from './listeners.ts'
export { createKernel } from './kernel.ts'
export { redactError, redactText } from './redact.ts'
export { defineWorker } from './registry.ts'
export { assertFree, assertFreeEvent, isReserved } from './reserved.ts'
export { shown } from './shown.ts'
export { reviveError, serializeError } from './stored-error.ts'
export { runScope, tryUseRunContext, useKernel, useRunContext } from './use.ts'
