import { EXPECTED, isDuration, isMoment, isText, QueueError, type Kernel } from '../../../kernel/index.ts'
import type { EventWait, Wait } from './api.ts'

type WaitRequest = ReturnType<Parameters<Kernel['waits']['look']>[2]>

type Rule = readonly [expected: string, test: (value: unknown) => boolean]

const optional = (expected: string, test: (value: unknown) => boolean): Rule => [
  expected,
  (value) => value === undefined || test(value),
]
const duration = optional(EXPECTED.duration, isDuration)

/** Waits also come from other processes, so their types have to be checked at run time. */
const RULES: readonly [name: keyof EventWait, rule: Rule][] = [
  ['event', [EXPECTED.text, (value) => isText(value)]],
  ['key', optional(EXPECTED.text, (value) => value === '' || isText(value))],
  ['timeout', duration],
  ['lookback', duration],
  ['once', optional('true or false', (value) => typeof value === 'boolean')],
  ['filter', optional('a function', (value) => typeof value === 'function')],
]

/** @throws QueueError `WAIT_INVALID` */
export function requestOf(wait: Wait, now: number): WaitRequest {
  switch (wait.kind) {
    case 'sleep': {
      const at = 'until' in wait ? wait.until : isDuration(wait.delay) && now + wait.delay
      if (typeof at === 'number' && isMoment(at)) return { mode: 'one', parts: [{ type: 'time', at }], filters: [] }
      throw new QueueError('WAIT_INVALID', 'sleep() needs a number of milliseconds, or a valid date.')
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
  return new QueueError(
    'WAIT_INVALID',
    `"${name}" of a wait must be ${expected}; got ${typeof value}: ${String(value)}.`,
  )
}
