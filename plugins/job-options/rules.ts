import { QueueError, type JobOptions } from '../../kernel/index.ts'

type Rule = readonly [expected: string, test: (value: unknown) => boolean]

const text: Rule = ['a non-empty string', (value) => typeof value === 'string' && value !== '']

const RULES: Record<string, Rule> = {
  id: text,
  attempts: ['a whole number from 1', (value) => Number.isInteger(value) && (value as number) >= 1],
  backoff: ['milliseconds, or { type: "fixed" | "exponential", delay, maxDelay?, jitter? }', isBackoff],
  delay: ['milliseconds, a number from 0, or a valid Date', (value) => isDuration(value) || isDate(value)],
  priority: ['a finite number', (value) => Number.isFinite(value)],
  ageing: ['milliseconds, a number above 0', (value) => isDuration(value) && value !== 0],
  timeout: ['milliseconds, a number above 0', (value) => isDuration(value) && value !== 0],
  concurrencyKey: text,
  rateLimitKey: text,
  deadLetter: text,
  debounce: ['{ delay, maxWait?, key? }, in milliseconds', isDebounce],
  throttle: ['{ period, max?, key? }, a period in milliseconds and a whole number from 1', isThrottle],
} satisfies Record<keyof JobOptions, Rule>

/** What plugins pass beside them. */
const PLUGIN_OPTIONS: ReadonlySet<string> = new Set(['runId', 'flow', 'db'])

/** @throws QueueError `OPTION_INVALID` for the first option that is unknown, of a wrong type or out of range */
export function checkJobOptions(options: object, owner: string): void {
  for (const [key, value] of Object.entries(options)) {
    const rule = Object.hasOwn(RULES, key) ? RULES[key] : undefined
    if (!rule) {
      if (PLUGIN_OPTIONS.has(key)) continue
      const known = Object.keys(RULES).join(', ')
      throw new QueueError('OPTION_INVALID', `${owner} has an unknown option "${key}". There are: ${known}.`)
    }
    const [expected, test] = rule
    if (value === undefined || test(value)) continue
    throw new QueueError('OPTION_INVALID', `Option "${key}" of ${owner} is ${expected}; got ${String(value)}.`, {
      details: { option: key },
    })
  }
}

function isDebounce(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const { delay, maxWait = 0, key = 'key', ...others } = value as Record<string, unknown>
  return isDuration(delay) && isDuration(maxWait) && isKey(key) && Object.keys(others).length === 0
}

function isThrottle(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const { period, max = 1, key = 'key', ...others } = value as Record<string, unknown>
  const whole = Number.isInteger(max) && (max as number) >= 1
  return isDuration(period) && period !== 0 && whole && isKey(key) && Object.keys(others).length === 0
}

function isKey(value: unknown): boolean {
  return typeof value === 'string' || typeof value === 'function'
}

function isDuration(value: unknown): boolean {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0
}

function isDate(value: unknown): boolean {
  return value instanceof Date && !Number.isNaN(value.getTime())
}

function isBackoff(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return isDuration(value)
  const { type, delay, maxDelay = 0, jitter = 0 } = value as Record<string, unknown>
  return (
    (type === 'fixed' || type === 'exponential') &&
    isDuration(delay) &&
    isDuration(maxDelay) &&
    isDuration(jitter) &&
    (jitter as number) <= 1
  )
}
