import { QueueError, type Kernel } from '../../kernel/index.ts'
import type { EventWait, Wait } from './api.ts'

type WaitRequest = ReturnType<Parameters<Kernel['waits']['look']>[2]>

type Rule = readonly [expected: string, test: (value: unknown) => boolean]

const optional = (expected: string, test: (value: unknown) => boolean): Rule => [
  expected,
  (value) => value === undefined || test(value),
]
const duration = optional('milliseconds, a number from 0', (value) => Number.isFinite(value) && Number(value) >= 0)

/** Waits come from other processes as well, where no compiler has looked at them. */
const RULES: readonly [name: keyof EventWait, rule: Rule][] = [
  ['event', ['a non-empty string', (value) => typeof value === 'string' && value !== '']],
  ['key', optional('a string', (value) => typeof value === 'string')],
  ['timeout', duration],
  ['lookback', duration],
  ['once', optional('true or false', (value) => typeof value === 'boolean')],
  ['filter', optional('a function', (value) => typeof value === 'function')],
]

/** @throws QueueError `WAIT_INVALID` */
export function requestOf(wait: Wait, now: number): WaitRequest {
  switch (wait.kind) {
    case 'sleep': {
      const at = 'until' in wait ? wait.until : now + wait.delay
      if (Number.isFinite(at)) return { mode: 'one', parts: [{ type: 'time', at }], filters: [] }
      throw new QueueError('WAIT_INVALID', 'A handler sleeps for milliseconds, or until a valid date.')
    }
    case 'event': {
      for (const [name, [expected, test]] of RULES) if (!test(wait[name])) throw wrong(name, expected, wait[name])
      const { event, key = '', timeout, lookback, once, filter } = wait
      const part = { type: 'event' as const, event, key, ...(once && { once }) }
      return { mode: 'one', parts: [part], filters: [filter], timeout, lookback }
    }
    default:
      throw wrong('kind', '"sleep" or "event"', (wait as { kind?: unknown }).kind)
  }
}

function wrong(name: string, expected: string, value: unknown): QueueError {
  return new QueueError('WAIT_INVALID', `"${name}" of a wait is ${expected}; got ${typeof value}: ${String(value)}.`)
}
