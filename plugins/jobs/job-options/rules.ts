import {
  EXPECTED,
  invalid,
  isCount,
  isDuration,
  isHeaders,
  isReserved,
  isMoment,
  isPriority,
  isTags,
  isText,
  unknownKey,
  type JobOptions,
  type JobState,
  type SingleJobOptions,
  type StoredJobOptions,
  type WorkerOptionCheck,
} from '../../../kernel/index.ts'
import { warnDeprecated } from '../../lib/deprecated.ts'
import { isWeight, MAX_WEIGHT, MIN_WEIGHT } from '../../lib/fair-options.ts'
import { BACKOFF, isBackoff } from '../../lib/is-backoff.ts'

const JOB_STATES: readonly JobState[] = ['waiting', 'delayed', 'active', 'completed', 'failed', 'cancelled']

type Rule = readonly [expected: string, test: (value: unknown) => boolean]

const ABOVE_ZERO = 'milliseconds, a number above 0 and up to a thousand years'
const text: Rule = [EXPECTED.text, (value) => isText(value)]

const RULES: Record<string, Rule> = {
  id: text,
  attempts: [EXPECTED.count, (value) => isCount(value)],
  backoff: [BACKOFF, isBackoff],
  delay: [
    'milliseconds from 0 to a thousand years, or a Date from 1970 to 9999',
    (value) => isDuration(value) || (value instanceof Date && isMoment(value)),
  ],
  priority: [EXPECTED.priority, isPriority],
  ageing: [ABOVE_ZERO, (value) => isDuration(value) && value !== 0],
  timeout: [ABOVE_ZERO, (value) => isDuration(value) && value !== 0],
  expiresIn: [ABOVE_ZERO, (value) => isDuration(value) && value !== 0],
  concurrencyKey: text,
  rateLimitKey: text,
  fairKey: text,
  fairWeight: [`a number from ${MIN_WEIGHT} to ${MAX_WEIGHT}`, isWeight],
  deadLetter: [
    `${EXPECTED.text} that does not begin with "_"`,
    (value) => isText(value) && !isReserved('queue', value),
  ],
  tags: [EXPECTED.tags, isTags],
  headers: [EXPECTED.headers, isHeaders],
  debounce: ['{ period, maxWait?, key? }, in milliseconds', isDebounce],
  throttle: ['{ period, limit?, key? }, a period in milliseconds and a whole number from 1', isThrottle],
  unique: [
    '{ key?, for?, states?, replace? }, with a list of states, and replace a list of "data" and "delay"',
    isUnique,
  ],
} satisfies Partial<Record<keyof JobOptions, Rule>>

/** The names of the options that a caller of `enqueue` may pass. */
export const JOB_OPTIONS = Object.keys(RULES) as (keyof JobOptions)[]
const NOT_STORED: ReadonlySet<string> = new Set(['id', 'delay', 'priority', 'ageing', 'tags', 'headers'])
/** The options that are stored as `job.options`: all options that are not separate members of a job. */
export const STORED_OPTIONS = JOB_OPTIONS.filter((key): key is keyof StoredJobOptions => !NOT_STORED.has(key))
const NOT_OF_WORKERS: ReadonlySet<string> = new Set([
  ...['id', 'delay', 'headers'],
  ...['concurrencyKey', 'rateLimitKey', 'fairKey', 'fairWeight'],
])
/** The options that a worker's config may set as defaults of its jobs. */
export const WORKER_OPTIONS = JOB_OPTIONS.filter(
  (key): key is Exclude<keyof JobOptions, keyof SingleJobOptions | 'headers'> => !NOT_OF_WORKERS.has(key),
)

/** Additional options that plugins pass, and the transaction of a caller. */
const CALL_OPTIONS: Record<string, Rule> = {
  once: text,
  runId: text,
  flow: ['the position of a job in a flow', (value) => typeof value === 'object' && value !== null],
  db: ['a pg client, or what a helper of nuxt-queue/postgres returns, such as fromDrizzle(tx, sql)', isClient],
}

/** Checks one option of a worker's config. */
export function jobOptionOf(key: keyof JobOptions): WorkerOptionCheck {
  return (value, { id }) => {
    if (key === 'backoff' && typeof value === 'function') return
    checkJobOptions({ [key]: value }, `worker "${id}"`)
  }
}

/** Whether this package has a job option of that name. */
export function isJobOption(name: string): boolean {
  return ruleOf(name) !== undefined
}

const NONE: ReadonlyMap<string, unknown> = new Map()

/**
 * Checks the options of this package. The options in `custom` have their own schemas.
 *
 * @throws QueueError `OPTION_INVALID` for the first option that is unknown, of a wrong type or out of range
 */
export function checkJobOptions(options: object, owner: string, custom: ReadonlyMap<string, unknown> = NONE): void {
  for (const [key, value] of Object.entries(options)) {
    const rule = ruleOf(key)
    if (!rule && custom.has(key)) continue
    if (!rule) throw unknownKey(owner, key, [...JOB_OPTIONS, 'db', ...custom.keys()])
    const [expected, test] = rule
    if (value !== undefined && !test(value)) throw invalid(`Option "${key}" of ${owner}`, expected, value)
  }
}

function ruleOf(key: string): Rule | undefined {
  return Object.hasOwn(RULES, key) ? RULES[key] : Object.hasOwn(CALL_OPTIONS, key) ? CALL_OPTIONS[key] : undefined
}

function isClient(value: unknown): boolean {
  const { query, executeSql } = Object(value) as { query?: unknown; executeSql?: unknown }
  return typeof query === 'function' || typeof executeSql === 'function'
}

function isDebounce(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const { delay, period = delay, maxWait = 0, key = 'key', ...others } = value as Record<string, unknown>
  if (delay !== undefined) warnDeprecated('debounce: { delay }', 'debounce: { period }')
  const isClear = delay === undefined || period === delay
  return isClear && isDuration(period) && isDuration(maxWait) && isKey(key) && Object.keys(others).length === 0
}

function isThrottle(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const { period, max, limit = max ?? 1, key = 'key', ...others } = value as Record<string, unknown>
  if (max !== undefined) warnDeprecated('throttle: { max }', 'throttle: { limit }')
  const isClear = max === undefined || limit === max
  return (
    isClear && isDuration(period) && period >= 1 && isCount(limit) && isKey(key) && Object.keys(others).length === 0
  )
}

function isUnique(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const { key = 'key', for: window = 1, states = [], replace = [], ...others } = value as Record<string, unknown>
  const isListOf = (list: unknown, known: readonly string[]): boolean =>
    Array.isArray(list) && list.every((one: unknown) => known.includes(one as string))
  const isSound = isKey(key) && isDuration(window) && window > 0 && Object.keys(others).length === 0
  return isSound && isListOf(states, JOB_STATES) && isListOf(replace, ['data', 'delay'])
}

function isKey(value: unknown): boolean {
  return value === '' || isText(value) || typeof value === 'function'
}
