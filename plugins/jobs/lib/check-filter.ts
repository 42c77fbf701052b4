import {
  checkComposed,
  checkKeys,
  checkMoment,
  checkText,
  invalid,
  isText,
  MAX_COMPOSED_BYTES,
  type JobFilter,
  type JobSearch,
  type JobState,
} from '../../../kernel/index.ts'
import { between, listOf } from '../../lib/check-options.ts'

const FILTER_KEYS = [
  ...['id', 'queue', 'name', 'runId', 'tag', 'states', 'error', 'createdAfter', 'createdBefore', 'data'],
] as const satisfies (keyof JobFilter)[]
const SEARCH_KEYS = [...FILTER_KEYS, 'after', 'limit', 'examine'] as const satisfies (keyof JobSearch)[]
export const JOB_STATES: readonly JobState[] = ['waiting', 'delayed', 'active', 'completed', 'failed', 'cancelled']
/** The largest page. */
const MAX_LIMIT = 1000
/** The maximum number of jobs that one search examines. */
const MAX_EXAMINE = 100_000
/** The maximum number of paths that a search of data compares. */
const MAX_PATHS = 10
const MAX_CURSOR = 4096

/** Returns a copy of a filter without members that are undefined. @throws QueueError `OPTION_INVALID` */
export function checkFilter(what: string, filter: JobFilter): JobFilter {
  checkKeys(what, filter, FILTER_KEYS)
  return checkMembers(what, filter)
}

/** Returns a copy of a search without members that are undefined. @throws QueueError `OPTION_INVALID` */
export function checkSearch(what: string, search: JobSearch): JobSearch {
  checkKeys(what, search, SEARCH_KEYS)
  const { after } = search
  const checked: JobSearch = checkMembers(what, search)
  if (after !== undefined) {
    if (typeof after !== 'string' || after.length > MAX_CURSOR) {
      throw invalid(`Option "after" of ${what}`, 'the "next" of the previous page', after)
    }
    checked.after = after
  }
  for (const [key, most] of [['limit', MAX_LIMIT] as const, ['examine', MAX_EXAMINE] as const]) {
    const value = search[key]
    if (value !== undefined) checked[key] = between(1, most)(`Option "${key}" of ${what}`, value)
  }
  return checked
}

function checkMembers(what: string, filter: JobFilter): JobFilter {
  const { id, queue, name, runId, tag, states, error, createdAfter, createdBefore, data } = filter
  const checked: JobFilter = {}
  const option = (key: keyof JobFilter): string => `Option "${key}" of ${what}`
  if (id !== undefined) checked.id = checkComposed(option('id'), id)
  if (queue !== undefined) checked.queue = checkComposed(option('queue'), queue)
  // Jobs of other producers may have no name.
  if (name !== undefined) checked.name = name === '' ? name : checkComposed(option('name'), name)
  if (runId !== undefined) checked.runId = checkComposed(option('runId'), runId)
  if (tag !== undefined) checked.tag = checkText(option('tag'), tag)
  if (error !== undefined) checked.error = checkText(option('error'), error)
  if (createdAfter !== undefined) checked.createdAfter = checkMoment(option('createdAfter'), createdAfter)
  if (createdBefore !== undefined) checked.createdBefore = checkMoment(option('createdBefore'), createdBefore)
  if (states !== undefined) checked.states = listOf(JOB_STATES)(option('states'), states)
  if (data !== undefined) checked.data = checkData(option('data'), data)
  return checked
}

function checkData(what: string, data: unknown): NonNullable<JobFilter['data']> {
  const expected = `an object of at most ${MAX_PATHS} paths, such as "customer.id", each with text, a number, a boolean or null`
  if (typeof data !== 'object' || data === null || Array.isArray(data)) throw invalid(what, expected, data)
  const paths = Object.entries(data)
  const isValid = ([path, value]: [string, unknown]): boolean => isText(path) && isSearched(value)
  if (paths.length > MAX_PATHS || !paths.every(isValid)) throw invalid(what, expected, data)
  return { ...data }
}

function isSearched(value: unknown): boolean {
  if (typeof value === 'string') return value === '' || isText(value, MAX_COMPOSED_BYTES)
  return value === null || typeof value === 'boolean' || Number.isFinite(value)
}
