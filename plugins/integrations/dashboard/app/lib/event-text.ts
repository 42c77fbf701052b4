import type { RunEvent } from '../api/types.ts'

const STATES: Readonly<Record<string, string>> = {
  completed: 'completed',
  failed: 'failed',
  cancelled: 'cancelled',
  started: 'running',
  retry: 'held',
  deferred: 'held',
  awaiting: 'held',
  resumed: 'completed',
}

/** Returns the state that an event represents, if any. */
export function stateOfEvent({ type, data }: RunEvent): string | undefined {
  if (type === 'runner.log') {
    const { level } = (data ?? {}) as { level?: string }
    return level === 'error' || level === 'warn' ? level : undefined
  }
  if (!/^(?:step|flow)\./.test(type)) return undefined
  return STATES[type.slice(type.indexOf('.') + 1)]
}

/** How many characters of the data are shown. */
const MAX_LENGTH = 240

/** Returns a summary of an event, in one line. */
export function summaryOf({ type, data, attempt }: RunEvent): string {
  if (data === undefined || data === null) return ''
  const { error, message, key, value, event } = data as {
    error?: { message?: string }
    message?: unknown
    key?: string
    value?: unknown
    event?: string
  }
  if (typeof error?.message === 'string')
    return `${attempt === undefined ? '' : `attempt ${attempt}: `}${error.message}`
  if (type === 'runner.log' && typeof message === 'string') return message
  if (type === 'state.set') return cut(`${key} = ${JSON.stringify(value)}`)
  if (type === 'emit' && event !== undefined) return event
  return cut(JSON.stringify(data) ?? '')
}

function cut(text: string): string {
  return text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH)}…` : text
}
