import { inspect } from 'node:util'
import { colors } from 'consola/utils'
import type {
  EventStore,
  MaybePromise,
  SerializedError,
  StoredEvent,
  StreamMessage,
  Unsubscribe,
} from '../../../kernel/index.ts'
import { ownFrames } from '../../lib/frames.ts'
import { isShown, levelOf, type LogLevel } from './levels.ts'

/** Turns events into lines for people. Remembers when steps started, to print how long they took. */
export interface Timeline {
  /** Returns a line, or `undefined` for an event that only `all` shows. */
  event(event: StoredEvent): string | undefined
  message(message: StreamMessage): string | undefined
  /** Returns where the error of an event was thrown, in lines below the line of the event. */
  frames(event: StoredEvent): string[]
}

export interface TimelineOptions {
  /** Also shows emits, state changes and queued steps, and the `seq` of each event. Default false. */
  all?: boolean
  /** The lowest level that is shown. Starts, ends and progress are `info`, retries `warn`, failures `error`. Default `debug`. */
  level?: LogLevel
}

type Mark = readonly [symbol: string, text: string]

const LEVELS: Readonly<Record<string, string>> = {
  debug: colors.dim('·'),
  info: colors.blue('i'),
  warn: colors.yellow('!'),
  error: colors.red('✖'),
}

/** The events whose errors were thrown by a handler. A failed flow repeats the error of its step. */
const FAILURES = new Set(['step.failed', 'step.retry'])

export function createTimeline({ all = false, level = 'debug' }: TimelineOptions = {}): Timeline {
  const started = new Map<string, number>()
  let width = 12

  function line(ts: number, { seq, step, flow }: Partial<StoredEvent>, [symbol, text]: Mark): string {
    const name = step ?? flow ?? ''
    width = Math.max(width, name.length)
    const number = all ? `${String(seq).padStart(5)}  ` : ''
    return `${number}${colors.dim(timeOf(ts))}  ${symbol} ${colors.bold(name.padEnd(width))}  ${text}`
  }

  /** Records a start, or returns the time since the start and deletes it. */
  function took({ runId, stepId = '', ts }: StoredEvent): string {
    const since = started.get(`${runId} ${stepId}`)
    started.delete(`${runId} ${stepId}`)
    return since === undefined ? '' : ` ${colors.dim(`in ${formatDuration(ts - since)}`)}`
  }

  function describe(event: StoredEvent): Mark | undefined {
    const { type, runId, stepId = '', ts, attempt = 1 } = event
    const data = (event.data ?? {}) as Record<string, unknown>
    const message = (data.error as SerializedError | undefined)?.message
    switch (type) {
      case 'flow.started':
        started.set(`${runId} `, ts)
        return [colors.cyan('▶'), `flow started ${colors.dim(`run ${runId}`)}`]
      case 'flow.completed':
        return [colors.green('■'), `flow completed${took(event)}`]
      case 'flow.failed':
        return [colors.red('■'), `flow failed${took(event)}: ${message}`]
      case 'flow.cancelled':
        return [colors.yellow('■'), `flow cancelled${took(event)}: ${String(data.reason)}`]
      case 'step.started':
        started.set(`${runId} ${stepId}`, ts)
        return [colors.cyan('●'), `started${attempt > 1 ? `, attempt ${attempt}` : ''}`]
      case 'step.completed':
        return [colors.green('✔'), `completed${took(event)}${preview(data.result)}`]
      case 'step.failed':
        return [colors.red('✖'), `failed${took(event)}: ${message}`]
      case 'step.retry':
        return [colors.yellow('↻'), `attempt ${attempt} failed${took(event)}: ${message}`]
      case 'step.deferred':
        return [colors.yellow('…'), `deferred until ${timeOf(Number(data.runAt))}`]
      case 'step.cancelled':
        return [colors.yellow('✖'), `cancelled${took(event)}: ${String(data.reason)}`]
      case 'runner.log':
        return [LEVELS[String(data.level)] ?? ' ', `${String(data.message)}${preview(data.meta)}`]
      default:
        return all ? [colors.dim('·'), `${type}${preview(event.data)}`] : undefined
    }
  }

  return {
    event(event) {
      // Also called for hidden events, because it measures how long a step takes.
      const mark = describe(event)
      return mark && isShown(levelOf(event), level) ? line(event.ts, event, mark) : undefined
    },
    frames({ type, data }) {
      if (!FAILURES.has(type) || !isShown(levelOf({ type, data }), level)) return []
      const frames = ownFrames((data as { error?: SerializedError }).error?.stack)
      return frames.flatMap((frame) => frame.split('\n')).map((line) => colors.dim(line))
    },
    message({ type, data }) {
      if (type !== 'progress' || !isShown('info', level)) return undefined
      const { step, value, message } = data as { step: string; value: number; message?: string }
      const text = `${Math.round(value * 100)} %${message === undefined ? '' : `  ${message}`}`
      return line(Date.now(), { step }, [colors.dim('◔'), text])
    },
  }
}

/** Prints the events and progress of a run, or of all runs with `'*'`, as they happen. Returns a function that stops it. */
export function followTimeline(
  store: EventStore,
  stream: string,
  print: (line: string) => void,
  options: TimelineOptions = {},
): MaybePromise<Unsubscribe> {
  const timeline = createTimeline(options)
  const show = (line: string | undefined): void => {
    if (line !== undefined) print(line)
  }
  function showEvent(event: StoredEvent): void {
    show(timeline.event(event))
    timeline.frames(event).forEach(print)
  }
  return store.subscribe(
    stream,
    { ...(stream !== '*' && { after: 0 }), onMessage: (message) => show(timeline.message(message)) },
    (events) => events.filter(isOurs).forEach(showEvent),
  )
}

/** Returns false for events on queues of plugins, such as cron ticks. */
function isOurs({ step }: StoredEvent): boolean {
  return !step?.startsWith('_')
}

/** `12 ms`, `3.4 s`, `2 min 5 s`, `3 h 20 min`. Parts that are 0 are left out. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`
  const seconds = Math.round(ms / 1000)
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return parts([minutes, 'min'], [seconds % 60, 's'])
  return parts([Math.floor(minutes / 60), 'h'], [minutes % 60, 'min'])
}

function parts([first, unit]: [number, string], [rest, small]: [number, string]): string {
  return `${first} ${unit}${rest === 0 ? '' : ` ${rest} ${small}`}`
}

function timeOf(ts: number): string {
  const date = new Date(ts)
  return `${date.toTimeString().slice(0, 8)}.${String(date.getMilliseconds()).padStart(3, '0')}`
}

/** Formats the data of an event for the rest of a line. */
function preview(data: unknown): string {
  if (data === undefined) return ''
  const text = inspect(data, { breakLength: Infinity, depth: 3, maxArrayLength: 5, maxStringLength: 60 })
  return `  ${colors.dim(text.length > 100 ? `${text.slice(0, 99)}…` : text)}`
}
