import { QueueError, type Kernel } from '../../kernel/index.ts'
import type { Wait } from './api.ts'

type WaitRequest = ReturnType<Parameters<Kernel['waits']['look']>[2]>

/** @throws QueueError `WAIT_INVALID` */
export function requestOf(wait: Wait, now: number): WaitRequest {
  if (wait.kind === 'sleep') {
    const at = 'until' in wait ? wait.until : now + wait.delay
    if (Number.isFinite(at)) return { mode: 'one', parts: [{ type: 'time', at }], filters: [] }
    throw new QueueError('WAIT_INVALID', 'A handler sleeps for milliseconds, or until a valid date.')
  }
  const { event, key = '', timeout, lookback, once, filter } = wait
  if (typeof event !== 'string' || event === '') {
    throw new QueueError('WAIT_INVALID', `An event to wait for has a name; got ${typeof event}.`)
  }
  return {
    mode: 'one',
    parts: [{ type: 'event', event, key, ...(once && { once }) }],
    filters: [filter],
    timeout,
    lookback,
  }
}
