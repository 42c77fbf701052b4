import type { RunEvent } from '../api/types.ts'

export interface LogLine {
  seq: number
  ts: number
  level: string
  message: string
  /** The facts of the entry, as JSON in one line. */
  meta: string
}

export function logOf({ seq, ts, data }: RunEvent): LogLine {
  const { level = 'info', message, meta } = (data ?? {}) as { level?: string; message?: unknown; meta?: unknown }
  const text = typeof message === 'string' ? message : JSON.stringify(message)
  return { seq, ts, level, message: text ?? '', meta: meta === undefined ? '' : JSON.stringify(meta) }
}
