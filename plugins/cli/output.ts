import { inspect, stripVTControlCharacters } from 'node:util'
import { colors } from 'consola/utils'
import { isQueueError, serializeError, type Reporter, type RunInfo } from '../../kernel/index.ts'
import { toPlainJson } from '../_shared/plain-json.ts'
import { formatDuration } from './timeline.ts'

/** Where a command writes: text for people, or with `--json` one value for programs. */
export interface Output {
  readonly json: boolean
  /** The one value of `--json`. */
  value(value: unknown): void
  /** A line of text; nothing with `--json`. */
  line(text: string): void
  error(error: unknown): void
}

export function createOutput(json: boolean): Output {
  const value = (result: unknown): void => void process.stdout.write(`${toPlainJson(result)}\n`)
  return {
    json,
    value,
    line(text) {
      if (!json) process.stdout.write(`${text}\n`)
    },
    error(thrown) {
      const { name, code, ...error } = serializeError(thrown)
      const message = stripVTControlCharacters(error.message)
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
  process.stderr.write(`${symbol} ${message}\n${framesOf(detail)}`)
}

/** Where the innermost cause was thrown; errors of this package speak for themselves. */
function framesOf(detail: unknown): string {
  if (!(detail instanceof Error)) return detail === undefined ? '' : `${inspect(detail)}\n`
  if (detail.cause instanceof Error) return framesOf(detail.cause)
  if (isQueueError(detail)) return ''
  const frames = detail.stack?.split('\n').filter((line) => /^\s+at (?!.*node:internal)/.test(line)) ?? []
  return frames
    .slice(0, 5)
    .map((line) => `${colors.dim(line)}\n`)
    .join('')
}

/** A value as people read it, whole. */
export function pretty(value: unknown): string {
  return inspect(value, {
    colors: process.stdout.isTTY && process.env.NO_COLOR === undefined,
    depth: Infinity,
    maxArrayLength: Infinity,
    maxStringLength: Infinity,
    breakLength: 100,
  })
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
