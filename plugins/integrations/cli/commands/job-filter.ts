import { parsePairs, parseStates, parseTime } from '../arguments.ts'

/** The options of commands that take a filter of jobs. */
export const filterOptions = {
  state: { type: 'string', valueHint: 'a,b', description: 'Only jobs in these states' },
  tag: { type: 'string', description: 'Only jobs with this tag' },
  queue: { type: 'string', description: 'Only jobs of this queue' },
  name: { type: 'string', description: 'Only jobs of this name' },
  run: { type: 'string', description: 'Only jobs of this run' },
  error: { type: 'string', valueHint: 'text', description: 'Only jobs with this text in their error' },
  where: { type: 'string', valueHint: 'path=value', description: 'Only jobs with this value in their data' },
  since: { type: 'string', valueHint: '1h|date', description: 'Only jobs created since this moment' },
  until: { type: 'string', valueHint: '1h|date', description: 'Only jobs created before this moment' },
} as const

/** Returns the filter of the options. Members without an option are `undefined`. */
export function parseFilter(given: Partial<Record<keyof typeof filterOptions, string>>) {
  const { state, tag, queue, name, run, error, where, since, until } = given
  const now = Date.now()
  return {
    ...{ tag, queue, name, runId: run, states: parseStates(state), error, data: parsePairs('where', where) },
    createdAfter: parseTime('since', since, now),
    createdBefore: parseTime('until', until, now),
  }
}
