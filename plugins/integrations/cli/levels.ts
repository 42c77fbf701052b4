import type { StoredEvent } from '../../../kernel/index.ts'

/** From the lowest to the highest. */
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/** The levels of events that need more attention than a start or an end. */
const EVENTS: Readonly<Record<string, LogLevel>> = {
  'step.retry': 'warn',
  'step.cancelled': 'warn',
  'flow.cancelled': 'warn',
  'step.failed': 'error',
  'flow.failed': 'error',
}

/** Returns the level of an event. A log entry has its own level. The level of other events depends on their type. */
export function levelOf({ type, data }: Pick<StoredEvent, 'type' | 'data'>): LogLevel {
  if (type !== 'runner.log') return EVENTS[type] ?? 'info'
  const { level } = data as { level: string }
  return LOG_LEVELS.find((known) => known === level) ?? 'info'
}

/** Returns whether an event of a level is printed if `lowest` is the lowest printed level. */
export function isShown(level: LogLevel, lowest: LogLevel): boolean {
  return LOG_LEVELS.indexOf(level) >= LOG_LEVELS.indexOf(lowest)
}
