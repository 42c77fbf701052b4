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
  type SingleJobOptions,
  type StoredJobOptions,
  type WorkerOptionCheck,
} from '../../../kernel/index.ts'
import { BACKOFF, isBackoff } from '../../lib/is-backoff.ts'
import type { JobOptionRule } from '../lib/job-option-rule.ts'

type Rule = readonly [expected: string, test: (value: unknown) => boolean]

const ABOVE_ZERO = 'milliseconds, a number above 0 and up to a thousand years'
const text: Rule = [EXPECTED.text, (value) => isText(value)]

/** The options that belong to no other plugin. */
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
  deadLetter: [
    `${EXPECTED.text} that does not begin with "_"`,
    (value) => isText(value) && !isReserved('queue', value),
  ],
  tags: [EXPECTED.tags, isTags],
  headers: [EXPECTED.headers, isHeaders],
} satisfies Partial<Record<keyof JobOptions, Rule>>

const NOT_STORED: ReadonlySet<string> = new Set(['id', 'delay', 'priority', 'ageing', 'tags', 'headers'])
const NOT_OF_WORKERS: ReadonlySet<string> = new Set(['id', 'delay', 'headers'])
/** Additional options that plugins pass, and the transaction of a caller. */
const CALL_OPTIONS: Record<string, Rule> = {
  once: text,
  runId: text,
  flow: ['the position of a job in a flow', (value) => typeof value === 'object' && value !== null],
  db: ['a pg client, or what a helper of nuxt-queue/postgres returns, such as fromDrizzle(tx, sql)', isClient],
}

const NONE: ReadonlyMap<string, unknown> = new Map()

/** Holds the rules of the job options of one kernel: those of this plugin, and the rules that other plugins declare. */
export function createRules() {
  const rules = new Map(Object.entries({ ...RULES, ...CALL_OPTIONS }))
  const names = Object.keys(RULES)
  const stored = names.filter((key) => !NOT_STORED.has(key))
  const ofWorkers = names.filter((key) => !NOT_OF_WORKERS.has(key))

  /**
   * Checks the options that have a rule. The options in `custom` have their own schemas.
   *
   * @throws QueueError `OPTION_INVALID` for the first option that is unknown, of a wrong type or out of range
   */
  function check(options: object, owner: string, custom: ReadonlyMap<string, unknown> = NONE): void {
    for (const [key, value] of Object.entries(options)) {
      const rule = rules.get(key)
      if (!rule && custom.has(key)) continue
      if (!rule) throw unknownKey(owner, key, [...names, 'db', ...custom.keys()])
      const [expected, test] = rule
      if (value !== undefined && !test(value)) throw invalid(`Option "${key}" of ${owner}`, expected, value)
    }
  }

  return {
    /** The names of the options that a caller of `enqueue` may pass. */
    names: names as readonly string[],
    /** The options that are stored as `job.options`: all options that are not separate members of a job. */
    stored: stored as readonly (keyof StoredJobOptions)[],
    /** The options that a worker's config may set as defaults of its jobs. */
    ofWorkers: ofWorkers as readonly Exclude<keyof JobOptions, keyof SingleJobOptions | 'headers'>[],
    check,
    has: (name: string): boolean => rules.has(name),
    add(name: string, { expected, test, worker = true }: JobOptionRule): void {
      rules.set(name, [expected, test])
      names.push(name)
      stored.push(name)
      if (worker) ofWorkers.push(name)
    },
    /** Checks one option of a worker's config. */
    checkOfWorker:
      (key: string): WorkerOptionCheck =>
      (value, { id }) => {
        if (key === 'backoff' && typeof value === 'function') return
        check({ [key]: value }, `worker "${id}"`)
      },
  }
}

export type JobOptionRules = ReturnType<typeof createRules>

function isClient(value: unknown): boolean {
  const { query, executeSql } = Object(value) as { query?: unknown; executeSql?: unknown }
  return typeof query === 'function' || typeof executeSql === 'function'
}
