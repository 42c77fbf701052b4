import { checkCount, checkDuration, checkKeys, invalid } from '../../kernel/index.ts'

/** Returns a valid value. `what` names it in the error. @throws QueueError `OPTION_INVALID` */
export type OptionCheck<T = unknown> = (what: string, value: unknown) => T

/** The checks of all members of an options object, by name. */
export type OptionChecks<T> = { readonly [Key in keyof T]-?: OptionCheck<NonNullable<T[Key]>> }

/**
 * Returns a copy of an options object without members that are undefined. Reads each member once, so that a getter cannot return
 * another value later.
 *
 * @param what names the object in errors, for example `jobs()`
 * @throws QueueError `OPTION_INVALID` for an unknown member or an invalid value
 * @example
 * const { limit = 100 } = checkOptions('alerts()', options, { limit: checkCount })
 */
export function checkOptions<T extends object>(what: string, options: T, checks: OptionChecks<T>): T {
  checkKeys(what, options, Object.keys(checks))
  const checked: Partial<T> = {}
  for (const key of Object.keys(checks) as (keyof T & string)[]) {
    const value = options[key]
    if (value !== undefined) checked[key] = checks[key](`Option "${key}" of ${what}`, value)
  }
  return checked as T
}

/** Accepts one of the words. */
export function oneOf<Word extends string>(words: readonly Word[]): OptionCheck<Word> {
  return (what, value) => {
    if (words.includes(value as Word)) return value as Word
    throw invalid(what, words.length === 1 ? `"${words[0]}"` : `one of ${words.join(', ')}`, value)
  }
}

/** Whether a value is an array of the words. */
export function isListOf<Word extends string>(value: unknown, words: readonly Word[]): value is Word[] {
  return Array.isArray(value) && value.every((word) => words.includes(word as Word))
}

/** Accepts an array of the words, and removes duplicates. */
export function listOf<Word extends string>(words: readonly Word[]): OptionCheck<Word[]> {
  return (what, value) => {
    if (isListOf(value, words)) return [...new Set(value)]
    throw invalid(what, `an array of ${words.join(', ')}`, value)
  }
}

/** Accepts a whole number from `min` to `max`. */
export function between(min: number, max: number): OptionCheck<number> {
  return (what, value) => {
    if (Number.isInteger(value) && (value as number) >= min && (value as number) <= max) return value as number
    throw invalid(what, `a whole number from ${min} to ${max}`, value)
  }
}

/** Accepts a whole number from 1, or `Infinity`, which stands for no limit. */
export function checkLimit(what: string, value: unknown): number {
  return value === Infinity ? value : checkCount(what, value)
}

/** Accepts a number of milliseconds, or `Infinity`, which stands for no limit. */
export function checkTimeout(what: string, value: unknown): number {
  return value === Infinity ? value : checkDuration(what, value)
}

/** Accepts text of any length, such as a reason that is only shown. */
export function checkString(what: string, value: unknown): string {
  if (typeof value === 'string') return value
  throw invalid(what, 'text', value)
}

/** Accepts a function. Its type is that of the option. */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- inferred from the expected type
export function checkFunction<F extends (...args: never[]) => unknown>(what: string, value: unknown): F {
  if (typeof value === 'function') return value as F
  throw invalid(what, 'a function', value)
}

/** Accepts `true` and `false`. */
export function checkBoolean(what: string, value: unknown): boolean {
  if (typeof value === 'boolean') return value
  throw invalid(what, 'true or false', value)
}
