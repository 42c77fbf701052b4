import { QueueError, type StoredEvent } from '../../../kernel/index.ts'
import { isShown, levelOf, LOG_LEVELS, type LogLevel } from './levels.ts'
import type { Output } from './output.ts'
import type { Backend } from './protocol.ts'
import { createTimeline } from './timeline.ts'

/** The number of events in one read. */
const PAGE = 500
/** How long one request waits for new events, in milliseconds. */
const WAIT = 20_000

/** @throws QueueError `OPTION_INVALID` */
export function parseLevel(text: string): LogLevel {
  const level = LOG_LEVELS.find((candidate) => candidate === text)
  if (level) return level
  throw new QueueError('OPTION_INVALID', `--level takes one of ${LOG_LEVELS.join(', ')}; got "${text}".`)
}

/** Prints the log entries of a run. With `follow`, also prints new entries until the run ends. With `--json`, each entry is one line. */
export async function followLogs(
  backend: Backend & { runId: string },
  { follow, lowest }: { follow: boolean; lowest: LogLevel },
  output: Output,
): Promise<void> {
  const timeline = createTimeline()
  const shown = (event: StoredEvent): boolean => event.type === 'runner.log' && isShown(levelOf(event), lowest)
  let after = 0
  for (;;) {
    const wait = follow ? WAIT : 0
    const { events, ended } = await backend.ask('events', { runId: backend.runId, after, limit: PAGE, wait })
    for (const event of events.filter(shown)) {
      if (output.json) output.value(event)
      else output.line(timeline.event(event)!)
    }
    after = events.at(-1)?.seq ?? after
    if (events.length < PAGE && (!follow || ended)) return
  }
}
