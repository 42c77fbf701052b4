import { inspect, stripVTControlCharacters } from 'node:util'
import { colors } from 'consola/utils'
import { serializeError, type JobRecord, type Reporter, type RunInfo } from '../../../kernel/index.ts'
import { toPlainJson } from '../lib/plain-json.ts'
import { placeOf } from '../../lib/frames.ts'
import { formatDuration } from './timeline.ts'

/** Writes the output of a command: text for people, or one value for programs with `--json`. */
export interface Output {
  readonly json: boolean
  /** Writes the value of `--json`. */
  value(value: unknown): void
  /** Writes a line of text, but not with `--json`. Characters that move the cursor or start a line are escaped. */
  line(text: string): void
  /** Writes a value for people, on several lines if needed, but not with `--json`. */
  block(value: unknown, indent?: string): void
  /** Writes a line that is not part of the answer to stderr. */
  note(text: string): void
  error(error: unknown): void
}

export function createOutput(json: boolean): Output {
  const value = (result: unknown): void => void process.stdout.write(`${toPlainJson(result)}\n`)
  return {
    json,
    value,
    line(text) {
      if (!json) process.stdout.write(`${oneLine(text)}\n`)
    },
    note(text) {
      process.stderr.write(`${colors.dim(oneLine(text))}\n`)
    },
    block(value, indent = '') {
      if (!json) process.stdout.write(`${pretty(value, indent)}\n`)
    },
    error(thrown) {
      const { name, code, ...error } = serializeError(thrown)
      const message = stripVTControlCharacters(error.message)
      if (json) value({ error: { name, message: oneLine(message), ...(code !== undefined && { code }) } })
      else
        process.stderr.write(
          `${colors.red('✖')} ${indented(message)}${code === undefined ? '' : colors.dim(` [${code}]`)}\n`,
        )
    },
  }
}

/** Writes the reports of a kernel to stderr, one line each, with the place where an error was thrown. */
export const reporter: Reporter = {
  warn: (message, detail) => report(colors.yellow('!'), message, detail),
  error: (message, detail) => report(colors.red('✖'), message, detail),
}

/**
 * The reporter of a command that only asks. The settings and the version of the store, of which `dev`, `start` and `doctor` warn, are not its
 * subject.
 */
export const errorReporter: Reporter = { ...reporter, warn() {} }

function report(symbol: string, message: string, detail: unknown): void {
  process.stderr.write(`${symbol} ${oneLine(message)}\n${framesOf(detail)}`)
}

function framesOf(detail: unknown): string {
  if (detail === undefined) return ''
  if (!(detail instanceof Error) && typeof detail !== 'string') return `${pretty(detail)}\n`
  const lines = (typeof detail === 'string' ? [detail] : placeOf(detail))
    .flatMap((text) => text.split('\n'))
    .filter((line) => line !== '')
  return lines.map((line) => `${colors.dim(oneLine(line))}\n`).join('')
}

/** Colour escapes, which are harmless. */
// oxlint-disable-next-line no-control-regex -- the expression must match escapes
const COLOUR = /^\x1b\[(?:[012]|22|3[0-79]|9[0-7])m/
/** Escapes, control characters of terminals (C0, C1), and characters that change the direction of text. */
// oxlint-disable-next-line no-control-regex -- the expression must match control characters
const CONTROL = /\x1b\[[0-9;]*m|[\0-\x08\n-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]/g

/** Escapes control characters, because names and messages of jobs may contain anything. */
export function oneLine(text: string): string {
  return text.replaceAll(CONTROL, (found) => {
    if (COLOUR.test(found)) return found
    if (found === '\n') return '⏎'
    const [first, ...rest] = found
    return `\\u${first!.charCodeAt(0).toString(16).padStart(4, '0')}${rest.join('')}`
  })
}

/** Escapes the lines of a message. The second and the next ones are indented, so that they do not look like lines of their own. */
function indented(message: string): string {
  return message.split('\n').map(oneLine).join('\n  ')
}

/** Formats a whole value for people. Control characters are escaped. */
export function pretty(value: unknown, indent = ''): string {
  const text = inspect(value, {
    colors: process.stdout.isTTY && process.env.NO_COLOR === undefined,
    depth: Infinity,
    maxArrayLength: Infinity,
    maxStringLength: Infinity,
    breakLength: 100,
  })
  return text
    .split('\n')
    .map((line) => indent + oneLine(line))
    .join('\n')
}

const STATUS_COLORS = {
  running: colors.cyan,
  completed: colors.green,
  failed: colors.red,
  cancelled: colors.yellow,
} as const

const STATE_COLORS = { ...STATUS_COLORS, waiting: colors.blue, delayed: colors.magenta, active: colors.cyan } as const
/** How much of an error a table shows. */
const MAX_MESSAGE = 60

export const jobColumns = ['job', 'state', 'queue', 'name', 'created', 'tags', 'error']

/** Returns the cells of a job in a table. */
export function jobRow({ id, state, queue, name, createdAt, tags = [], error }: JobRecord): string[] {
  const created = colors.dim(new Date(createdAt).toISOString())
  return [
    colors.bold(id),
    STATE_COLORS[state](state),
    queue,
    name,
    created,
    tags.join(', '),
    cutMessage(error?.message),
  ]
}

function cutMessage(message = ''): string {
  const [first = ''] = message.split('\n')
  return first.length > MAX_MESSAGE ? `${first.slice(0, MAX_MESSAGE - 1)}…` : first
}

/** Returns a line about a run. */
export function formatRun(run: RunInfo): string {
  const [id, status, name, started, took, events] = runRow(run)
  return `${id}  ${status}  ${name}  ${started}  ${took}  ${events} ${run.head === 1 ? 'event' : 'events'}`
}

export const runColumns = ['run', 'status', 'name', 'started', 'took', 'events']

/** Returns the cells of a run in a table. */
export function runRow({
  runId,
  status,
  name,
  flow,
  startedAt,
  updatedAt,
  endedAt,
  head,
}: RunInfo): (string | number)[] {
  const what = flow === undefined ? name : `flow ${flow}`
  const started = colors.dim(new Date(startedAt).toISOString())
  const took = formatDuration((endedAt ?? updatedAt) - startedAt)
  return [colors.bold(runId), STATUS_COLORS[status](status), what, started, took, head]
}

/** Returns the lines of a table with a header. Numbers are aligned to the right. */
export function formatTable(header: readonly string[], rows: readonly (readonly (string | number)[])[]): string[] {
  const widths = header.map((title, index) => Math.max(title.length, ...rows.map((row) => widthOf(row[index]!))))
  const numeric = header.map((_, index) => rows.length > 0 && rows.every((row) => typeof row[index] === 'number'))
  const line = (cells: readonly (string | number)[]): string =>
    cells
      .map((cell, index) => {
        const space = ' '.repeat(widths[index]! - widthOf(cell))
        return numeric[index] ? space + String(cell) : String(cell) + space
      })
      .join('  ')
      .trimEnd()
  return [colors.dim(line(header.map((title) => title.toUpperCase()))), ...rows.map(line)]
}

/** Text is escaped when it is printed, so its width is that of the escaped text. */
function widthOf(cell: string | number): number {
  return stripVTControlCharacters(oneLine(String(cell))).length
}
