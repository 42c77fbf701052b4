import type { ArgsDef } from 'citty'
import { didYouMean, QueueError, type JobState, type RunInfo } from '../../../kernel/index.ts'

/** Arguments of every command. */
export const common = {
  json: { type: 'boolean', description: 'Print only one JSON value' },
  cwd: {
    type: 'string',
    valueHint: 'folder',
    description: 'The folder of the project. Default: the working directory',
  },
} as const

const STATES = ['waiting', 'delayed', 'active', 'completed', 'failed', 'cancelled'] as const
const STATUSES = ['running', 'completed', 'failed', 'cancelled'] as const

/** Refuses options and arguments that the command does not have. citty accepts them. */
export function assertKnown(given: Record<string, unknown> & { _: string[] }, known: ArgsDef): void {
  const aliases = new Set(Object.values(known).flatMap((argument) => ('alias' in argument ? argument.alias : [])))
  // citty also gives `dry-run` as `dryRun`.
  const dashed = Object.keys(given).map((name) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`))
  const unknown = dashed.find((name) => name !== '_' && !Object.hasOwn(known, name) && !aliases.has(name))
  if (unknown !== undefined) {
    const options = Object.keys(known).filter((name) => known[name]!.type !== 'positional')
    const list = options.map((name) => `--${name}`).join(', ')
    throw wrong(`There is no option --${unknown}.${didYouMean(unknown, options)} The options are ${list}.`)
  }
  const positionals = Object.values(known).filter(({ type }) => type === 'positional').length
  if (given._.length > positionals) throw wrong(`There is one argument too many: "${given._[positionals]}".`)
}

/** Returns whether an argument names a file rather than a run. */
export function isHistoryFile(target: string): boolean {
  return target.endsWith('.jsonl')
}

export function assertHistoryFile(command: string, file: string): void {
  if (isHistoryFile(file)) return
  throw wrong(`${command} takes a history file (*.jsonl); got "${file}". For a run of the project, use: show ${file}`)
}

export function parseData(text: string | undefined): unknown {
  if (text === undefined) return undefined
  try {
    return JSON.parse(text) as unknown
  } catch (cause) {
    throw wrong(`--data takes JSON, for example '{"to":"ada@example.com"}'; got ${text}`, cause)
  }
}

export function parseWhole(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (/^\d+$/.test(text)) return Number(text)
  throw wrong(`--${name} takes a whole number from 0; got "${text}".`)
}

const UNITS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** Returns milliseconds. */
export function parseDuration(name: string, text: string): number {
  const [, amount, unit] = /^(\d{1,9})(ms|[smhd])$/.exec(text) ?? []
  if (unit !== undefined) return Number(amount) * UNITS[unit]!
  throw wrong(`--${name} takes a duration such as 90s, 15m, 24h or 7d; got "${text}".`)
}

/** A number of jobs in a span of time, such as `100/1m`, or `none`. */
export function parseRate(name: string, text: string): { limit: number; period: number } | null {
  if (text === 'none') return null
  const [, limit, span] = /^(\d{1,9})\/(\w+)$/.exec(text) ?? []
  if (span !== undefined) return { limit: Number(limit), period: parseDuration(name, span) }
  throw wrong(`--${name} takes a number of jobs and a duration, such as 100/1m, or none; got "${text}".`)
}

/** Returns one of the values that an argument may have. */
export function parseChoice<const T extends string>(what: string, known: readonly T[], text: string): T {
  const choice = known.find((candidate) => candidate === text)
  if (choice !== undefined) return choice
  throw wrong(`${what} is one of ${known.join(', ')}; got "${text}".`)
}

export function parseStatus(text: string | undefined): RunInfo['status'] | undefined {
  const status = STATUSES.find((candidate) => candidate === text)
  if (text === undefined || status !== undefined) return status
  throw wrong(`--status takes one of ${STATUSES.join(', ')}; got "${text}".`)
}

/** States of jobs, separated by commas. */
export function parseStates(text: string | undefined): JobState[] | undefined {
  const states = parseWords(text)
  const unknown = states?.find((state) => !STATES.includes(state as JobState))
  if (unknown === undefined) return states as JobState[] | undefined
  throw wrong(`--state takes ${STATES.join(', ')}, separated by commas; got "${unknown}".`)
}

/** Words, separated by commas. */
export function parseWords(text: string | undefined): string[] | undefined {
  return text?.split(',').filter((word) => word !== '')
}

/** A span of time before now, such as `90s`, `15m`, `1h` or `7d`, or a date. Returns milliseconds since the epoch. */
export function parseTime(name: string, text: string | undefined, now: number): number | undefined {
  if (text === undefined) return undefined
  const date = new Date(text)
  if (/^\d{4}-\d{2}-\d{2}/.test(text) && !Number.isNaN(date.getTime())) return date.getTime()
  return Math.max(0, now - parseDuration(name, text))
}

/** How long to wait: milliseconds, or a span such as `90s` or `10m`; or a date. */
export function parseDelay(name: string, text: string): number | Date {
  if (/^\d+$/.test(text)) return Number(text)
  const date = new Date(text)
  return /^\d{4}-\d{2}-\d{2}/.test(text) && !Number.isNaN(date.getTime()) ? date : parseDuration(name, text)
}

/** Names and values, such as `customer.id=7`, separated by commas. */
export function parsePairs(name: string, text: string | undefined): Record<string, string> | undefined {
  const pairs = parseWords(text)?.map((pair) => pair.split(/=(.*)/s))
  if (pairs?.every(([path, value]) => path !== '' && value !== undefined)) {
    return Object.fromEntries(pairs.map(([path, value]) => [path!, value!]))
  }
  if (pairs === undefined) return undefined
  throw wrong(`--${name} takes names and values, for example customer.id=7; got "${text}".`)
}

/** The `seq` of an event, or a date. */
export function parseMoment(text: string | undefined): number | Date | undefined {
  if (text === undefined || /^\d+$/.test(text)) return parseWhole('at', text)
  const date = new Date(text)
  if (/^\d{4}-\d{2}-\d{2}/.test(text) && !Number.isNaN(date.getTime())) return date
  throw wrong(`--at takes the seq of an event or an ISO date such as 2026-01-31T12:00:00Z; got "${text}".`)
}

function wrong(message: string, cause?: unknown): QueueError {
  return new QueueError('OPTION_INVALID', message, { cause })
}
