import { inspect, stripVTControlCharacters } from 'node:util'
import { colors } from 'consola/utils'
import { isQueueError, serializeError, type Reporter, type RunInfo } from '../../../kernel/index.ts'
import { toPlainJson } from '../lib/plain-json.ts'
import { formatDuration } from './timeline.ts'

/** Where a command writes: text for people, or with `--json` one value for programs. */
export interface Output {
  readonly json: boolean
  /** The one value of `--json`. */
  value(value: unknown): void
  /** One line of text; nothing with `--json`. What would move the cursor or begin another line is shown instead. */
  line(text: string): void
  /** A value as people read it, on as many lines as it takes; nothing with `--json`. */
  block(value: unknown, indent?: string): void
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
    block(value, indent = '') {
      if (!json) process.stdout.write(`${pretty(value, indent)}\n`)
    },
    error(thrown) {
      const { name, code, ...error } = serializeError(thrown)
      const message = oneLine(stripVTControlCharacters(error.message))
      if (json) value({ error: { name, message, ...(code !== undefined && { code }) } })
      else process.stderr.write(`${colors.red('✖')} ${message}${code === undefined ? '' : colors.dim(` [${code}]`)}\n`)
    },
  }
}

/** What a kernel has to tell beside its events, one line each on stderr, and where an error came from. */
export const reporter: Reporter = {
  warn: (message, detail) => report(colors.yellow('!'), message, detail),
  error: (message, detail) => report(colors.red('✖'), message, detail),
}

function report(symbol: string, message: string, detail: unknown): void {
  process.stderr.write(`${symbol} ${oneLine(message)}\n${framesOf(detail)}`)
}

/** Where the innermost cause was thrown; errors of this package speak for themselves. */
function framesOf(detail: unknown): string {
  if (!(detail instanceof Error)) return detail === undefined ? '' : `${pretty(detail)}\n`
  if (detail.cause instanceof Error) return framesOf(detail.cause)
  if (isQueueError(detail)) return ''
  const frames = detail.stack?.split('\n').filter((line) => /^\s+at (?!.*node:internal)/.test(line)) ?? []
  return frames
    .slice(0, 5)
    .map((line) => `${colors.dim(oneLine(line))}\n`)
    .join('')
}

/** The colours that commands print in, and all others that can do no harm. */
// oxlint-disable-next-line no-control-regex -- escapes are what is looked for
const COLOUR = /^\x1b\[(?:[012]|22|3[0-79]|9[0-7])m/
/** Escapes, and characters that terminals act on (C0, C1) or that turn the direction of text. */
// oxlint-disable-next-line no-control-regex -- control characters are what is looked for
const CONTROL = /\x1b\[[0-9;]*m|[\0-\x08\n-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]/g

/** Shows what would act on the terminal, since names and messages of jobs may hold anything. */
export function oneLine(text: string): string {
  return text.replaceAll(CONTROL, (found) => {
    if (COLOUR.test(found)) return found
    if (found === '\n') return '⏎'
    const [first, ...rest] = found
    return `\\u${first!.charCodeAt(0).toString(16).padStart(4, '0')}${rest.join('')}`
  })
}

/** A value as people read it, whole. What would act on the terminal is shown as an escape. */
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

/** One line about a run. */
export function formatRun({ runId, status, name, flow, startedAt, updatedAt, endedAt, head }: RunInfo): string {
  const what = flow === undefined ? name : `flow ${flow}`
  const started = new Date(startedAt).toISOString()
  const took = formatDuration((endedAt ?? updatedAt) - startedAt)
  const events = `${head} ${head === 1 ? 'event' : 'events'}`
  return `${colors.bold(runId)}  ${STATUS_COLORS[status](status.padEnd(9))}  ${what}  ${colors.dim(`${started}  ${took}  ${events}`)}`
}
